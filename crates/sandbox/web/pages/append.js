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
  document.body.dataset.ready = 'true';
  say('');
}
