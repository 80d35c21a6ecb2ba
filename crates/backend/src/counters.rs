//! What was used and how often: the replay guard, the log of verdicts and the rate limiter.

use domain::{
    Begun, Claim, FlowKey, Rate, RateKey, RateLimiter, ReplayGuard, ReplayKey, Timestamp, Unavailable,
    Verdict, VerdictLog,
};
use outbound::Https;
use settings::Settings;

use crate::sessions::Kind;

/// Where it is recorded what was used and how often. All functions must share one place, or a token counts once in each.
#[derive(Debug, Clone)]
pub enum Counters {
    /// The DynamoDB table.
    DynamoDb(Box<dynamodb::Table>),
    /// The embedded store. Not in a deployed build.
    #[cfg(feature = "embedded")]
    Embedded(sqlite::Store),
}

impl Counters {
    /// Reads `REPLAY_STORE`, unless `SESSION_STORE` names a place that keeps sessions and this; and what that place needs.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let sessions = settings.optional("SESSION_STORE");
        let name = match sessions.as_deref().map(str::trim) {
            Some("dynamodb" | "embedded") => "SESSION_STORE",
            _ => "REPLAY_STORE",
        };
        let (kinds, default) = Kind::words();
        let kinds: Vec<_> = kinds.iter().copied().filter(|(_, kind)| !matches!(kind, Kind::Rest)).collect();
        match settings.choice(name, &kinds, default)? {
            Kind::DynamoDb => {
                dynamodb::Table::from_settings(settings, https).map(Box::new).map(Self::DynamoDb)
            }
            #[cfg(feature = "embedded")]
            Kind::Embedded => sqlite::Store::from_settings(settings).map(Self::Embedded),
            #[cfg(not(feature = "embedded"))]
            Kind::Embedded => None,
            Kind::Rest => None,
        }
    }
}

/// Calls one method on whichever place is configured.
macro_rules! on_counters {
    ($self:ident, $counters:ident => $call:expr) => {
        match $self {
            Self::DynamoDb(table) => {
                let $counters = &**table;
                $call.await
            }
            #[cfg(feature = "embedded")]
            Self::Embedded($counters) => $call.await,
        }
    };
}

impl ReplayGuard for Counters {
    async fn claim(&self, key: ReplayKey, until: Timestamp, now: Timestamp) -> Result<Claim, Unavailable> {
        on_counters!(self, counters => counters.claim(key, until, now))
    }
}

impl VerdictLog for Counters {
    async fn begin(
        &self,
        answer: ReplayKey,
        flow: FlowKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Begun, Unavailable> {
        on_counters!(self, counters => counters.begin(answer, flow, until, now))
    }

    async fn conclude(&self, answer: ReplayKey, flow: FlowKey, verdict: Verdict) -> Result<(), Unavailable> {
        on_counters!(self, counters => counters.conclude(answer, flow, verdict))
    }
}

impl RateLimiter for Counters {
    async fn hit(&self, key: RateKey, limit: u32, now: Timestamp) -> Result<Rate, Unavailable> {
        on_counters!(self, counters => counters.hit(key, limit, now))
    }
}
