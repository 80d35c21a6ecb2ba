// The session of the demo application's pages, in each of the three options.
import * as pool from './pool.js';

/** What the application knows about its project; in production these are constants of yours. */
export const config = await (await fetch('/demo/config')).json();

/** Where the components find Corbado. In production leave `frontendApiUrl` out. */
export const corbado = { projectId: config.projectId, frontendApiUrl: `${location.origin}/fapi` };

const BEARER = 'bearer';
const TARGET = 'target';

/** Calls an endpoint of auth-api, with the cookie (option 2) or with a bearer (options 1 and 3). */
export async function call(path, body) {
  const headers = {};
  const bearer = sessionStorage.getItem(BEARER);
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const method = body === undefined ? 'GET' : 'POST';
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) {
    throw Object.assign(new Error(answer.message ?? 'Something went wrong.'), { status: response.status });
  }
  return answer;
}

/** Ends what another sign-in has left. */
function forget() {
  sessionStorage.removeItem(BEARER);
}

/** Turns what the component hands over after a login into a session. */
export async function completeLogin(result) {
  forget();
  switch (config.loginOption) {
    // Option 1: the proof answers the user pool's challenge, and the pool issues tokens.
    case 'system-extension': {
      const user = pool.userOf(result);
      const challenge = await pool.signIn(user);
      const tokens = await pool.confirmSignIn(user, challenge, result);
      sessionStorage.setItem(BEARER, tokens.AccessToken);
      return;
    }
    // Option 2: an endpoint verifies the proof and sets a cookie.
    case 'custom-endpoint':
      await call('/auth/passkey/verify', { signedPasskeyData: result });
      return;
    // Option 3: the action post-login has opened the session already, here (`sessionId`) or at a user pool (`accessToken`).
    case 'post-login-action': {
      const { sessionId, accessToken } = JSON.parse(result);
      sessionStorage.setItem(BEARER, sessionId ?? accessToken);
    }
  }
}

/** The classic login. Where the accounts are a user pool's, the password is checked there, whatever the option. */
export async function login(identifier, password) {
  forget();
  if (config.userPool || config.loginOption === 'system-extension') {
    const tokens = await pool.signInWithPassword(identifier, password);
    sessionStorage.setItem(BEARER, tokens.AccessToken);
  } else {
    await call('/demo/login', { identifier, password });
  }
}

/** The classic sign-up, after which the user is signed in. */
export async function signUp(name, email, password) {
  forget();
  await call('/demo/sign-up', { name, email, password });
  if (config.loginOption === 'system-extension') await login(email, password);
}

/** Who is signed in; whoever is not is sent to sign in. Where neither can be told, the page says so. */
export async function requireUser() {
  try {
    return (await call('/auth/session')).user;
  } catch (error) {
    if (error.status === 401) location.replace('/login?target=/profile');
    else say(error.message);
    return null;
  }
}

/** Signs out everywhere. */
export async function signOut() {
  await call('/auth/logout', {});
  forget();
}

/** Asks for a connect token: one for each thing that a component does. */
export async function connectToken(type) {
  return (await call('/auth/corbadoConnectToken', { type })).connectToken;
}

/** After every login, passkey or not, the append page comes first, and then the target. */
export function afterLogin() {
  location.assign('/append');
}

/** Keeps where the user wanted to go. Only paths of this site are kept. */
export function keepTarget() {
  const target = new URLSearchParams(location.search).get('target') ?? '';
  if (/^\/[a-z]/.test(target)) sessionStorage.setItem(TARGET, target);
}

/** Goes to where the user wanted to go. */
export function goToTarget() {
  const target = sessionStorage.getItem(TARGET) ?? '/profile';
  sessionStorage.removeItem(TARGET);
  location.assign(target);
}

/** Shows a message where screen readers announce it. */
export function say(text) {
  const place = document.querySelector('[role=status], [role=alert]');
  place.textContent = text;
  place.hidden = !text;
}

if (document.body.dataset.missing) say(document.body.dataset.missing);
