//! Reads the bodies of answers as each operation would, for the tests: over a connection they would be slow.

use domain::{Session, User};

use crate::client::{self, Done};
use crate::{directory, sessions};

/// An answer as one of the operations reads it.
#[derive(Debug)]
pub enum Answer {
    /// `users.find`.
    User(Option<User>),
    /// `users.findByIdentifier`: how many there are.
    Matches(usize),
    /// `sessions.find`.
    Session(Option<Session>),
    /// `sessions.create`.
    Created(bool),
    /// The operations that have nothing to tell.
    Done,
}

/// Everything that a body can be read as.
pub fn read(body: &[u8]) -> Vec<Answer> {
    let answer = outbound::Answer { status: 200, body: body.to_vec() };
    let user =
        client::read::<directory::Found>(&answer).map(|it| Answer::User(it.user.map(|user| user.0.into())));
    let matches = client::read::<directory::Matches>(&answer).map(|it| Answer::Matches(it.users.len()));
    let session = client::read::<sessions::Found>(&answer)
        .map(|it| Answer::Session(it.session.map(|kept| kept.0.into())));
    let created = client::read::<sessions::Created>(&answer).map(|it| Answer::Created(it.created));
    let done = client::read::<Done>(&answer).map(|Done {}| Answer::Done);
    [user, matches, session, created, done].into_iter().flatten().collect()
}
