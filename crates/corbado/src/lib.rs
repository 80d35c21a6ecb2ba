//! corbado
