import { connectToken, corbado, currentUser, goToTarget, say } from './session.js';

if (!(await currentUser())) {
  location.replace('/login?target=/profile');
} else {
  // The guide's snippet. Skipped, done or not possible: the user goes on.
  Corbado.mountCorbadoConnectAppend(document.getElementById('passkey-append'), {
    ...corbado,
    appendTokenProvider: () => connectToken('passkey-append'),
    onSkip: () => goToTarget(),
    onComplete: () => goToTarget(),
    onError: (code) => console.info('corbado connect:', code),
  });
  // The component's own "Skip" cannot be reached by keyboard.
  document.getElementById('not-now').addEventListener('click', goToTarget);
  document.body.dataset.ready = 'true';
  say('');
}
