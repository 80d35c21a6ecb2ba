// The guide's post-append, with AWS SDK v3 for a Cognito user pool: what its readers deploy.
import {
  AdminGetUserCommand,
  AdminUpdateUserAttributesCommand,
  CognitoIdentityProviderClient,
} from '@aws-sdk/client-cognito-identity-provider';

const client = new CognitoIdentityProviderClient({});
const UserPoolId = process.env.USER_POOL_ID;

export const handler = async (event) => {
  try {
    const Username = event.username;
    const user = await client.send(new AdminGetUserCommand({ UserPoolId, Username }));
    const flag = user.UserAttributes.find(({ Name }) => Name === 'custom:mfa_enabled');
    if (flag?.Value === 'true') {
      console.log('User already has MFA settings configured');
      return { statusCode: 200, body: {} };
    }
    await client.send(
      new AdminUpdateUserAttributesCommand({
        UserPoolId,
        Username,
        UserAttributes: [
          { Name: 'custom:mfa_enabled', Value: 'true' },
          { Name: 'custom:preferred_mfa', Value: 'passkey' },
          { Name: 'custom:last_mfa_update', Value: new Date().toISOString() },
        ],
      }),
    );
    return { statusCode: 200, body: {} };
  } catch (error) {
    console.error('Caught exception:', error);
    return { statusCode: 500, body: { message: 'Failed to update MFA settings', error: error.message } };
  }
};
