// What the tests share: the pasted actions, a stub in the functions' place, an independent verifier of signatures.

import assert from 'node:assert/strict';
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
export const SHIMS = join(REPOSITORY, 'infra/corbado');

/** Each action: whether it may be repeated, an event, an answer of its function, and the answer when there is none. */
export const ACTIONS = {
  'pre-login': {
    repeatable: true,
    event: { identifier: 'planted@example.com' },
    answer: { identifier: 'usr-planted' },
    failed: {
      statusCode: 200,
      body: {
        identifier: '',
        error: { return: true, code: 'untyped', message: 'Signing in with a passkey is not possible right now.' },
      },
    },
  },
  'post-login': {
    repeatable: false,
    event: { userId: 'usr-planted', signedPasskeyData: 'planted.to.ken' },
    answer: { sessionId: 'planted-session', expiresAt: '2026-01-01T03:00:00.000Z' },
    failed: { statusCode: 500, body: { message: 'Failed to create session', error: 'provider_unavailable' } },
  },
  'post-append': {
    repeatable: true,
    event: { username: 'usr-planted' },
    answer: {},
    failed: { statusCode: 500, body: { message: 'Failed to update MFA settings', error: 'provider_unavailable' } },
  },
};

export const source = (action) => readFileSync(join(SHIMS, `${action}.mjs`), 'utf8');

export const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

/** The names of an action's settings. */
export function names(action) {
  const prefix = action.toUpperCase().replace('-', '_');
  return { url: `${prefix}_URL`, secret: `${prefix}_SIGNING_SECRET`, timeout: 'ACTION_TIMEOUT_MS' };
}

const scratch = mkdtempSync(join(tmpdir(), 'corbado-actions-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** A directory that goes when the test process does. */
export const temporary = () => mkdtempSync(join(scratch, 'x-'));

/**
 * Pastes the action: alone in a directory, as `index.mjs`, with these settings and no others.
 *
 * Each call of the handler is watched: it must not throw, must answer in Corbado's shape, and may write one line, which
 * holds nothing of the event, the answer or the settings. The returned function adds that line to the answer.
 */
export async function paste(action, settings) {
  const file = join(temporary(), 'index.mjs');
  copyFileSync(join(SHIMS, `${action}.mjs`), file);
  const environment = Object.entries(names(action)).map(([key, name]) => [name, settings[key]]);
  for (const [name, value] of environment) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  const { handler } = await import(pathToFileURL(file));
  for (const [name] of environment) delete process.env[name];

  return async (event) => {
    const { result, lines } = await listen(() => handler(event));
    assert.deepEqual(Object.keys(result), ['statusCode', 'body']);
    assert.ok(Number.isInteger(result.statusCode));
    assert.ok(result.body instanceof Object && !Array.isArray(result.body), 'the body is an object');
    assert.ok(lines.length <= 1, `more than one line: ${lines}`);
    const line = lines.length ? JSON.parse(lines[0]) : undefined;
    if (line) {
      assert.equal(line.action, action);
      for (const name of Object.keys(line)) assert.ok(['action', 'code', 'status'].includes(name), name);
      assert.match(line.code, /^[A-Za-z_]+$/);
      for (const value of ['planted', settings.secret, settings.url].filter(Boolean)) {
        assert.ok(!lines[0].includes(value), `${value} in ${lines[0]}`);
      }
    }
    return { ...result, line };
  };
}

/** Runs `work` and returns what it wrote by any method of the console. */
async function listen(work) {
  const lines = [];
  const originals = { ...console };
  for (const name of Object.keys(originals).filter((name) => typeof originals[name] === 'function')) {
    console[name] = (...values) => lines.push(values.map(String).join(' '));
  }
  try {
    return { result: await work(), lines };
  } finally {
    Object.assign(console, originals);
  }
}

/** The answer without the console's line. */
export const plain = ({ statusCode, body }) => ({ statusCode, body });

/** Serves `respond(request, response, number)` on 127.0.0.1 until the test ends, and keeps every request. */
export async function stub(test, respond, port = 0) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url, headers } = request;
    requests.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
    respond(request, response, requests.length);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}/action`, requests };
}

export function json(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Verifies by Standard Webhooks, from the specification's text: no code in common with the actions. */
export function verify(secret, headers, body, now = Date.now() / 1000) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers;
  if (!/^[\x21-\x7e]{1,256}$/.test(id) || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(now - Number(timestamp)) > 300) return false;
  const hmac = createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64'));
  const expected = hmac.update(Buffer.concat([Buffer.from(`${id}.${timestamp}.`), Buffer.from(body)])).digest();
  return signatures.split(' ').some((candidate) => {
    const [version, mac] = candidate.split(',');
    const bytes = Buffer.from(mac ?? '', 'base64');
    return version === 'v1' && bytes.length === expected.length && timingSafeEqual(bytes, expected);
  });
}
