import { connectToken, corbado, requireUser, say, signOut } from './session.js';

document.getElementById('sign-out').addEventListener('click', async () => {
  try {
    await signOut();
    location.assign('/login');
  } catch (error) {
    say(error.message);
  }
});

const user = await requireUser();
if (user) {
  document.getElementById('user-name').textContent = user.displayName ?? user.id;
  document.getElementById('user-id').textContent = user.id;

  // The guide's snippet: a connect token of its own for each of list, append and delete.
  Corbado.mountCorbadoConnectPasskeyList(document.getElementById('passkey-list'), {
    ...corbado,
    connectTokenProvider: (type) => connectToken(type),
  });
  document.body.dataset.ready = 'true';
}
