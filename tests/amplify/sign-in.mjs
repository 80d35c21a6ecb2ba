// Signs a user in as Corbado's guide does on a page: custom authentication without SRP, by AWS Amplify.
//
// Reads a JSON object from standard input: endpoint, userPoolId, userPoolClientId, username, and the answers to give in turn.
// Writes what came of each answer: the step, and the tokens, or the error's name and message.
import { Amplify } from '@aws-amplify/core';
import { cognitoUserPoolsTokenProvider } from '@aws-amplify/auth/cognito';
import { confirmSignIn, fetchAuthSession, getCurrentUser, signIn } from '@aws-amplify/auth';

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { endpoint, userPoolId, userPoolClientId, username, answers } = JSON.parse(Buffer.concat(chunks).toString());

// The package aws-amplify, which brings much else along, joins the two in this way.
const Auth = { Cognito: { userPoolId, userPoolClientId, userPoolEndpoint: endpoint } };
cognitoUserPoolsTokenProvider.setAuthConfig(Auth);
Amplify.configure({ Auth }, { Auth: { tokenProvider: cognitoUserPoolsTokenProvider } });

async function step(work) {
  try {
    const { isSignedIn, nextStep } = await work();
    const outcome = { step: nextStep.signInStep, parameters: nextStep.additionalInfo };
    if (!isSignedIn) return outcome;
    const { tokens } = await fetchAuthSession();
    const user = await getCurrentUser();
    return { ...outcome, user: user.username, accessToken: `${tokens.accessToken}`, idToken: `${tokens.idToken}` };
  } catch (error) {
    return { error: error.name, message: error.message };
  }
}

const outcomes = [await step(() => signIn({ username, options: { authFlowType: 'CUSTOM_WITHOUT_SRP' } }))];
for (const challengeResponse of answers) {
  outcomes.push(await step(() => confirmSignIn({ challengeResponse })));
}
process.stdout.write(JSON.stringify(outcomes));
