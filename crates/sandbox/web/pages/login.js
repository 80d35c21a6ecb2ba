import { afterLogin, call, completeLogin, config, corbado, keepTarget, login, say } from './session.js';

keepTarget();
const component = document.getElementById('passkey-login');
const classic = document.getElementById('classic-login');

/** Shows the classic login, with what was typed already. */
function showClassicLogin(identifier, message) {
  unmount();
  component.hidden = true;
  classic.hidden = false;
  document.getElementById('use-password').hidden = true;
  if (identifier) classic.identifier.value = identifier;
  say(message ?? '');
  (identifier ? classic.password : classic.identifier).focus();
}

// The guide's snippet. In production `Corbado` is Corbado's hosted script.
const unmount = Corbado.mountCorbadoConnectLogin(component, {
  ...corbado,
  onFallback: (identifier, message) => showClassicLogin(identifier, message),
  onError: (code) => console.info('corbado connect:', code),
  onSignupClick: () => location.assign('/signup'),
  // The component does not wait for it: what fails here is for the page to tell.
  onComplete: async (result) => {
    try {
      await completeLogin(result);
      afterLogin();
    } catch (error) {
      showClassicLogin(undefined, error.message);
    }
  },
});

document.getElementById('use-password').addEventListener('click', () => showClassicLogin());

classic.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = classic.querySelector('[type=submit]');
  button.disabled = true;
  try {
    await login(classic.identifier.value, classic.password.value);
    afterLogin();
  } catch (error) {
    say(error.message);
    button.disabled = false;
  }
});

for (const choice of document.querySelectorAll('[name=login-option]')) {
  choice.checked = choice.value === config.loginOption;
  choice.addEventListener('change', async () => {
    try {
      await call('/demo/option', { loginOption: choice.value });
      config.loginOption = choice.value;
    } catch (error) {
      say(error.message);
      document.querySelector(`[name=login-option][value=${config.loginOption}]`).checked = true;
    }
  });
}

if (config.userPool) {
  document.getElementById('user-pool').textContent = config.userPool;
} else {
  document.getElementById('demo-users').textContent = config.demoUsers.join(', ');
  document.getElementById('demo-password').textContent = config.demoPassword;
}
document.getElementById('of-pool').hidden = !config.userPool;
document.getElementById('of-demo').hidden = Boolean(config.userPool);
document.getElementById('new-here').hidden = Boolean(config.userPool);
document.body.dataset.ready = 'true';
