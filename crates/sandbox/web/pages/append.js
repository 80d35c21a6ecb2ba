import { connectToken, corbado, goToTarget, requireUser } from './session.js';

// The component's own "Skip" cannot be reached by keyboard. This one works from the start, whatever takes its time.
document.getElementById('not-now').addEventListener('click', goToTarget);

if (await requireUser()) {
  // The guide's snippet. Skipped, done or not possible: the user goes on.
  Corbado.mountCorbadoConnectAppend(document.getElementById('passkey-append'), {
    ...corbado,
    appendTokenProvider: () => connectToken('passkey-append'),
    onSkip: () => goToTarget(),
    onComplete: () => goToTarget(),
    onError: (code) => console.info('corbado connect:', code),
  });
  document.body.dataset.ready = 'true';
}
