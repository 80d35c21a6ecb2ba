// pre-login with AWS SDK v3 for a Cognito user pool: the typed identifier becomes the user's stable name.
import { AdminGetUserCommand, CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider';

const client = new CognitoIdentityProviderClient({});
const UserPoolId = process.env.USER_POOL_ID;

export const handler = async (event) => {
  try {
    const user = await client.send(new AdminGetUserCommand({ UserPoolId, Username: event.identifier }));
    return { statusCode: 200, body: { identifier: user.Username } };
  } catch (error) {
    console.error('Caught exception:', error);
    return { statusCode: 500, body: { message: 'Failed to resolve the identifier', error: error.message } };
  }
};
