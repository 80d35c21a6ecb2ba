// The inspector: the journal as it grows, the users as they are, and the switches.

const LANES = {
  page: 'page',
  component: 'component → Corbado',
  ceremony: 'ceremony',
  action: 'Corbado → action',
  store: 'Corbado’s store',
  backend: 'function → Corbado',
  pool: 'user pool',
  function: 'function’s log',
};
const FAULTS = {
  '': 'works',
  'answers500': 'answers 500',
  'times-out': 'times out',
  'wrong-signature': 'wrong signature',
  'provider-throttled': 'provider is throttled',
};
const ACTIONS = ['pre-login', 'post-login', 'post-append'];

const journal = document.getElementById('journal');
const notice = document.querySelector('[role=status]');
const form = document.getElementById('switch-form');

/** Makes an element; text is never markup. */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(text) {
  notice.textContent = text;
  notice.hidden = !text;
}

async function post(path, body) {
  const response = await fetch(`/inspector/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  say(response.ok ? '' : `That did not work (${response.status}).`);
  await refresh();
}

const time = (millis) => new Date(millis).toLocaleTimeString();

function show(entry) {
  const facts = [
    entry.status,
    entry.duration_ms === undefined ? undefined : `${entry.duration_ms} ms`,
    entry.detail?.cold_start ? 'cold start' : undefined,
    time(entry.at),
  ];
  const summary = element(
    'summary',
    {},
    element('span', { className: 'title', textContent: entry.title }),
    element('span', { className: 'lane', textContent: LANES[entry.lane] }),
    element('span', { className: 'facts', textContent: facts.filter((it) => it !== undefined).join(' · ') }),
  );
  const detail = element('pre', { textContent: JSON.stringify(entry.detail ?? {}, null, 2) });
  const item = element('li', { className: entry.outcome }, element('details', {}, summary, detail));
  item.dataset.lane = entry.lane;
  journal.prepend(item);
  while (journal.children.length > 500) journal.lastChild.remove();
}

function row(text, label, action) {
  const button = element('button', { type: 'button', className: 'small', textContent: label });
  button.setAttribute('aria-label', `${label}: ${text}`);
  button.addEventListener('click', action);
  return element('li', {}, element('span', { textContent: text }), button);
}

function showUser(user) {
  // Of the users of a pool no more is known here than their passkeys.
  const known = user.status !== undefined;
  const mfa = user.mfaEnabled ? `MFA · ${user.preferredMfa ?? 'on'}` : 'no MFA';
  const name = element('h3', {}, user.username, element('span', { textContent: user.email === user.username ? '' : user.email }));
  if (known) name.append(element('span', { className: 'flag', textContent: mfa }));
  if (known && user.status !== 'active') {
    name.append(element('span', { className: 'flag', textContent: user.status.replaceAll('_', ' ') }));
  }
  const passkeys = user.passkeys.map((passkey) => {
    const text = `Passkey · ${passkey.sourceBrowser} on ${passkey.sourceOS}, last used ${time(Date.parse(passkey.lastUsed))}`;
    return row(text, 'Delete', () => post('delete-passkey', { user: user.id, id: passkey.id }));
  });
  const sessions = user.sessions.map((session) => {
    const text = `Session · since ${time(session.created)}, until ${time(session.expires)}`;
    return row(text, 'End', () => post('end-session', { key: session.key }));
  });
  return element('div', { className: 'user' }, name, element('ul', {}, ...passkeys, ...sessions));
}

let switches;

async function refresh() {
  const state = await (await fetch('/inspector/state')).json();
  const busy = (user) => user.passkeys.length + user.sessions.length;
  const users = state.users.toSorted((a, b) => busy(b) - busy(a));
  document.getElementById('of-pool').hidden = !state.userPool;
  document.getElementById('user-pool').textContent = state.userPool ?? '';
  const focused = document.activeElement?.getAttribute('aria-label');
  document.getElementById('users').replaceChildren(...users.map(showUser));
  if (focused) document.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  switches = state.switches;
  for (const box of form.querySelectorAll('[type=checkbox]')) box.checked = switches[box.name];
  for (const select of form.querySelectorAll('select')) select.value = switches.faults[select.name] ?? '';
}

for (const action of ACTIONS) {
  const options = Object.entries(FAULTS).map(([value, textContent]) => element('option', { value, textContent }));
  const select = element('select', { name: action }, ...options);
  document.getElementById('faults').append(element('label', { className: 'fault' }, action, select));
}

form.addEventListener('change', () => {
  const faults = {};
  for (const select of form.querySelectorAll('select')) if (select.value) faults[select.name] = select.value;
  const boxes = [...form.querySelectorAll('[type=checkbox]')].map((box) => [box.name, box.checked]);
  post('switches', { ...switches, ...Object.fromEntries(boxes), faults });
});

document.getElementById('clear').addEventListener('click', async () => {
  await post('clear', null);
  journal.replaceChildren();
});

let last = 0;
let waiting;
const source = new EventSource('/inspector/journal');
source.onmessage = ({ data }) => {
  const entry = JSON.parse(data);
  // After a reconnect the journal comes again from its beginning.
  if (entry.id <= last) return;
  last = entry.id;
  show(entry);
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 200);
};
source.onopen = () => say('');
source.onerror = () => {
  say('The sandbox does not answer. It is asked again and again.');
  // One that was started anew counts from the beginning.
  last = 0;
  journal.replaceChildren();
};

await refresh();
document.body.dataset.ready = 'true';
