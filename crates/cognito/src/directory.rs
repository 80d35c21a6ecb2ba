//! The user pool as a directory.

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::{
    AttributeType, EmailMfaSettingsType, SmsMfaSettingsType, SoftwareTokenMfaSettingsType, UserStatusType,
    UserType,
};
use domain::{
    AccountStatus, Candidate, MfaState, MfaUpdate, Profile, Reason, Timestamp, TypedIdentifier, Unavailable,
    User, UserDirectory, UserIdentifier,
};
use outbound::{Https, aws};
use settings::Settings;

use crate::SYSTEM;
use crate::failure::{is_user_not_found, unavailable};

/// The longest user name Cognito knows, in characters.
const MAX_USERNAME: usize = 128;
/// How many pages of one look-up by e-mail are read; a page may be empty while more follow.
const MAX_PAGES: usize = 5;

/// A user pool. Needs the permissions AdminGetUser, ListUsers (pre-login), AdminUpdateUserAttributes and
/// AdminSetUserMFAPreference (post-append).
#[derive(Debug, Clone)]
pub struct Directory {
    client: Client,
    pool: String,
    attributes: Attributes,
    preference: Preference,
}

/// The names of the attributes that hold the MFA flags.
#[derive(Debug, Clone)]
struct Attributes {
    enabled: String,
    preferred: String,
    last_update: String,
}

/// The pool's own second factor that is switched on and preferred beside the attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preference {
    None,
    Sms,
    SoftwareToken,
    Email,
}

impl Preference {
    /// The factor's name in `UserMFASettingList`.
    fn listed_as(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Sms => Some("SMS_MFA"),
            Self::SoftwareToken => Some("SOFTWARE_TOKEN_MFA"),
            Self::Email => Some("EMAIL_OTP"),
        }
    }
}

impl Directory {
    /// Reads `USER_POOL_ID`, `COGNITO_MFA_PREFERENCE`, the names of the attributes, and the AWS settings.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let pool = settings.required("USER_POOL_ID").map(|pool| pool.trim().to_owned());
        let config = aws::sdk_config(settings, https, "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER");
        let name = |name, default: &str| settings.optional(name).unwrap_or_else(|| default.to_owned());
        let attributes = Attributes {
            enabled: name("COGNITO_ATTRIBUTE_MFA_ENABLED", "custom:mfa_enabled"),
            preferred: name("COGNITO_ATTRIBUTE_PREFERRED_MFA", "custom:preferred_mfa"),
            last_update: name("COGNITO_ATTRIBUTE_LAST_MFA_UPDATE", "custom:last_mfa_update"),
        };
        let words = [
            ("none", Preference::None),
            ("sms", Preference::Sms),
            ("software_token", Preference::SoftwareToken),
            ("email", Preference::Email),
        ];
        let preference = settings.choice("COGNITO_MFA_PREFERENCE", &words, Some(Preference::None));
        let client = Client::new(&config?);
        Some(Self { client, pool: pool?, attributes, preference: preference? })
    }

    fn mfa_state(&self, attributes: &[AttributeType], factors: &[String]) -> MfaState {
        let is = |name: &str, value: &str| attribute(attributes, name) == Some(value);
        let enabled = is(&self.attributes.enabled, "true");
        let prefers_passkey = is(&self.attributes.preferred, "passkey");
        // The preference is set after the attributes: without it, an update broke off between the two.
        let preference_missing =
            self.preference.listed_as().is_some_and(|name| !factors.iter().any(|factor| factor == name));
        MfaState {
            enabled,
            prefers_passkey,
            other_factor: !factors.is_empty(),
            unfinished: enabled && prefers_passkey && preference_missing,
            last_update: attribute(attributes, &self.attributes.last_update).and_then(Timestamp::parse),
        }
    }

    async fn users_by_email(&self, email: &str) -> Result<Vec<UserType>, Unavailable> {
        let filter = format!("email = \"{}\"", escape(email));
        let mut users = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let page = self
                .client
                .list_users()
                .user_pool_id(&self.pool)
                .filter(&filter)
                .attributes_to_get("email")
                .attributes_to_get("email_verified")
                .set_pagination_token(next)
                .send()
                .await
                .map_err(|error| unavailable(&error))?;
            let matching = |user: &UserType| {
                attribute(user.attributes(), "email").is_some_and(|it| it.eq_ignore_ascii_case(email))
            };
            users.extend(page.users.unwrap_or_default().into_iter().filter(matching));
            next = page.pagination_token;
            if next.is_none() || users.len() > 1 {
                return Ok(users);
            }
        }
        Err(Unavailable::new(SYSTEM, Reason::Unreadable))
    }

    async fn set_preference(&self, id: &UserIdentifier) -> Result<(), Unavailable> {
        let request =
            self.client.admin_set_user_mfa_preference().user_pool_id(&self.pool).username(id.as_str());
        let request = match self.preference {
            Preference::None => return Ok(()),
            Preference::Sms => request
                .sms_mfa_settings(SmsMfaSettingsType::builder().enabled(true).preferred_mfa(true).build()),
            Preference::SoftwareToken => request.software_token_mfa_settings(
                SoftwareTokenMfaSettingsType::builder().enabled(true).preferred_mfa(true).build(),
            ),
            Preference::Email => request.email_mfa_settings(
                EmailMfaSettingsType::builder().enabled(true).preferred_mfa(true).build(),
            ),
        };
        request.send().await.map(|_| ()).map_err(|error| unavailable(&error))
    }
}

impl UserDirectory for Directory {
    /// AdminGetUser: takes the user name, the `sub` or a verified alias.
    async fn find(&self, id: &UserIdentifier) -> Result<Option<User>, Unavailable> {
        if !may_be_username(id.as_str()) {
            return Ok(None);
        }
        let request = self.client.admin_get_user().user_pool_id(&self.pool).username(id.as_str());
        let user = match request.send().await {
            Ok(user) => user,
            Err(error) if is_user_not_found(&error) => return Ok(None),
            Err(error) => return Err(unavailable(&error)),
        };
        Ok(Some(User {
            id: canonical(&user.username)?,
            status: status(user.enabled, user.user_status.as_ref()),
            mfa: self.mfa_state(user.user_attributes(), user.user_mfa_setting_list()),
            profile: profile(user.user_attributes()),
        }))
    }

    /// [`Self::find`], then ListUsers by e-mail: an unverified address is no alias, so only that finds it.
    async fn find_by_identifier(&self, typed: &TypedIdentifier) -> Result<Candidate, Unavailable> {
        if let Ok(id) = UserIdentifier::new(typed.as_str())
            && let Some(user) = self.find(&id).await?
        {
            return Ok(Candidate::One { id: user.id, status: user.status, verified: true });
        }
        if !typed.may_be_email() {
            return Ok(Candidate::Nobody);
        }
        let users = self.users_by_email(typed.as_str()).await?;
        let user = match users.as_slice() {
            [] => return Ok(Candidate::Nobody),
            [user] => user,
            _ => return Ok(Candidate::Several),
        };
        Ok(Candidate::One {
            id: canonical(user.username().unwrap_or_default())?,
            status: status(user.enabled, user.user_status.as_ref()),
            verified: attribute(user.attributes(), "email_verified") == Some("true"),
        })
    }

    /// AdminUpdateUserAttributes, then AdminSetUserMFAPreference where one is configured. Each can be repeated. Neither takes a
    /// condition, so `unless_newer` rests on the look just before.
    async fn update_mfa(&self, id: &UserIdentifier, update: &MfaUpdate) -> Result<(), Unavailable> {
        let names = &self.attributes;
        let flags = [
            (&names.enabled, "true".to_owned()),
            (&names.preferred, "passkey".to_owned()),
            (&names.last_update, update.at.to_string()),
        ];
        let mut request =
            self.client.admin_update_user_attributes().user_pool_id(&self.pool).username(id.as_str());
        for (name, value) in flags {
            let attribute = AttributeType::builder().name(name).value(value).build();
            let attribute = attribute.map_err(|_| Unavailable::new(SYSTEM, Reason::Refused))?;
            request = request.user_attributes(attribute);
        }
        request.send().await.map_err(|error| unavailable(&error))?;
        self.set_preference(id).await
    }
}

fn attribute<'a>(attributes: &'a [AttributeType], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.name() == name).and_then(AttributeType::value)
}

/// The display name is `name`, or `preferred_username` where there is none.
fn profile(attributes: &[AttributeType]) -> Profile {
    let filled = |name| attribute(attributes, name).filter(|it| !it.is_empty()).map(ToOwned::to_owned);
    Profile {
        display_name: filled("name").or_else(|| filled("preferred_username")),
        email: filled("email").filter(|_| attribute(attributes, "email_verified") == Some("true")),
    }
}

fn canonical(username: &str) -> Result<UserIdentifier, Unavailable> {
    UserIdentifier::new(username).map_err(|_| Unavailable::new(SYSTEM, Reason::Unreadable))
}

fn status(enabled: bool, status: Option<&UserStatusType>) -> AccountStatus {
    match status {
        _ if !enabled => AccountStatus::Disabled,
        Some(UserStatusType::Confirmed) => AccountStatus::Active,
        Some(UserStatusType::ForceChangePassword) => AccountStatus::ForceChangePassword,
        Some(UserStatusType::ResetRequired) => AccountStatus::ResetRequired,
        _ => AccountStatus::Unusable,
    }
}

/// Tells whether Cognito could know such a user name: otherwise it answers InvalidParameterException, just as it
/// does to a fault of the configuration.
fn may_be_username(id: &str) -> bool {
    id.chars().count() <= MAX_USERNAME && !id.chars().any(char::is_whitespace)
}

/// Escapes a value for a ListUsers filter, where a backslash or a quote would end or change it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_would_change_the_filter() {
        let rows = [
            ("ada@example.com", "ada@example.com"),
            (r#"x" or email ^= ""#, r#"x\" or email ^= \""#),
            (r"a\", r"a\\"),
            (r#"\""#, r#"\\\""#),
        ];
        for (value, expected) in rows {
            assert_eq!(escape(value), expected);
        }
    }

    #[test]
    fn reads_every_status() {
        use UserStatusType::{
            Archived, Compromised, Confirmed, ExternalProvider, ForceChangePassword, ResetRequired,
            Unconfirmed,
        };
        let rows = [
            (Confirmed, AccountStatus::Active),
            (ForceChangePassword, AccountStatus::ForceChangePassword),
            (ResetRequired, AccountStatus::ResetRequired),
            (Unconfirmed, AccountStatus::Unusable),
            (Archived, AccountStatus::Unusable),
            (Compromised, AccountStatus::Unusable),
            (ExternalProvider, AccountStatus::Unusable),
            (UserStatusType::from("NEW_STATUS"), AccountStatus::Unusable),
        ];
        for (known, expected) in rows {
            assert_eq!(status(true, Some(&known)), expected, "{known:?}");
            assert_eq!(status(false, Some(&known)), AccountStatus::Disabled, "{known:?}");
        }
        assert_eq!(status(true, None), AccountStatus::Unusable);
    }
}
