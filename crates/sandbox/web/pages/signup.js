import { afterLogin, config, say, signUp } from './session.js';

const form = document.getElementById('sign-up');

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = form.querySelector('[type=submit]');
  button.disabled = true;
  try {
    await signUp(form.fullname.value, form.email.value, form.password.value);
    afterLogin();
  } catch (error) {
    say(error.message);
    button.disabled = false;
  }
});

if (config.userPool) document.getElementById('user-pool').textContent = config.userPool;
document.getElementById('of-pool').hidden = !config.userPool;
document.getElementById('of-demo').hidden = Boolean(config.userPool);
form.hidden = Boolean(config.userPool);
document.body.dataset.ready = 'true';
