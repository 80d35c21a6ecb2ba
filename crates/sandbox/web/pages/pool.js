// Amazon Cognito's user pool API, the three calls that option 1 needs. In production AWS Amplify makes them:
// `signIn({ username, options: { authFlowType: 'CUSTOM_WITHOUT_SRP' } })` and `confirmSignIn({ challengeResponse })`.
const ENDPOINT = '/pool/';

async function operation(name, body) {
  const { poolClientId } = (await import('./session.js')).config;
  const response = await fetch(ENDPOINT, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `AWSCognitoIdentityProviderService.${name}`,
    },
    body: JSON.stringify({ ClientId: poolClientId, ...body }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message ?? 'The user pool refuses.');
  return answer;
}

/** The tokens; a pool may also ask for more, such as a new password. */
function tokens({ AuthenticationResult, ChallengeName }) {
  if (!AuthenticationResult) throw new Error(`The user pool asks for more, and these pages have no form for it: ${ChallengeName}.`);
  return AuthenticationResult;
}

/** The user whom a proof names: Cognito's user name. Nothing is believed here, the pool's trigger verifies it. */
export function userOf(signedPasskeyData) {
  const claims = signedPasskeyData.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(claims), (c) => c.charCodeAt(0)))).webauthnId;
}

export function signIn(username) {
  return operation('InitiateAuth', { AuthFlow: 'CUSTOM_AUTH', AuthParameters: { USERNAME: username } });
}

export async function confirmSignIn(username, { Session, ChallengeName }, answer) {
  const ChallengeResponses = { USERNAME: username, ANSWER: answer };
  return tokens(await operation('RespondToAuthChallenge', { ChallengeName, ChallengeResponses, Session }));
}

export async function signInWithPassword(username, password) {
  const AuthParameters = { USERNAME: username, PASSWORD: password };
  return tokens(await operation('InitiateAuth', { AuthFlow: 'USER_PASSWORD_AUTH', AuthParameters }));
}
