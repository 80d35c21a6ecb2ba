//! Demo users, for laptops and tests.

use domain::{Timestamp, Unavailable, UserIdentifier};
use rusqlite::{OptionalExtension, params};

use crate::Store;
use crate::directory::fold;

/// A user to put into the store.
#[derive(Debug, Clone, Copy)]
pub struct DemoUser {
    /// The stable id.
    pub id: &'static str,
    /// The user name.
    pub username: &'static str,
    /// The e-mail address.
    pub email: &'static str,
    /// Whether the address is verified.
    pub email_verified: bool,
    /// The name to show.
    pub display_name: &'static str,
    /// `active`, `disabled`, `force_change_password` or `reset_required`; anything else cannot sign in.
    pub status: &'static str,
    /// The second factor in use, if any.
    pub preferred_mfa: Option<&'static str>,
}

const fn active(
    id: &'static str,
    username: &'static str,
    email: &'static str,
    display_name: &'static str,
) -> DemoUser {
    DemoUser {
        id,
        username,
        email,
        email_verified: true,
        display_name,
        status: "active",
        preferred_mfa: None,
    }
}

/// One user for each thing that can happen; `events/README.md` has them as a table.
pub const DEMO_USERS: [DemoUser; 8] = [
    active("usr-ada", "ada", "ada@example.com", "Ada Lovelace"),
    DemoUser {
        preferred_mfa: Some("totp"),
        ..active("usr-grace", "grace", "grace@example.com", "Grace Hopper")
    },
    DemoUser { status: "disabled", ..active("usr-alan", "alan", "alan@example.com", "Alan Turing") },
    DemoUser {
        status: "force_change_password",
        ..active("usr-linus", "linus", "linus@example.com", "Linus Pauling")
    },
    DemoUser {
        status: "reset_required",
        ..active("usr-edsger", "edsger", "edsger@example.com", "Edsger Dijkstra")
    },
    DemoUser {
        email_verified: false,
        ..active("usr-barbara", "barbara", "barbara@example.com", "Barbara Liskov")
    },
    active("usr-twin-1", "twin1", "twin@example.com", "Twin One"),
    active("usr-twin-2", "twin2", "twin@example.com", "Twin Two"),
];

/// What the store holds of a user's MFA settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MfaRecord {
    /// MFA is enabled.
    pub enabled: bool,
    /// The preferred method.
    pub preferred: Option<String>,
    /// The last update by post-append.
    pub last_update: Option<Timestamp>,
}

impl Store {
    /// Adds demo users; those that are there stay as they are.
    pub async fn seed(&self, users: &'static [DemoUser]) -> Result<(), Unavailable> {
        self.write(move |store| {
            for user in users {
                store.execute(
                    "INSERT INTO users (id, username, username_folded, email, email_folded, email_verified,
                                        display_name, status, mfa_enabled, preferred_mfa)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
                    params![
                        user.id,
                        user.username,
                        fold(user.username),
                        user.email,
                        fold(user.email),
                        user.email_verified,
                        user.display_name,
                        user.status,
                        user.preferred_mfa.is_some(),
                        user.preferred_mfa,
                    ],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Reads a user's MFA settings as they are kept.
    pub async fn mfa_record(&self, id: &UserIdentifier) -> Result<Option<MfaRecord>, Unavailable> {
        let id = id.clone();
        self.read(move |store| {
            let mut select = store.prepare_cached(
                "SELECT mfa_enabled, preferred_mfa, last_mfa_update FROM users WHERE id = ?1",
            )?;
            let record = select.query_row([id.as_str()], |row| {
                Ok(MfaRecord {
                    enabled: row.get(0)?,
                    preferred: row.get(1)?,
                    last_update: row.get::<_, Option<u64>>(2)?.map(Timestamp::from_millis),
                })
            });
            record.optional()
        })
        .await
    }
}
