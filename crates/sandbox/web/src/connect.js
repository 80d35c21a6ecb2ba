// What Corbado's hosted script offers, made of the same components: `Corbado.mountCorbadoConnect…(element, options)`.
import {
  CorbadoConnectAppend,
  CorbadoConnectLogin,
  CorbadoConnectModal,
  CorbadoConnectPasskeyList,
  CorbadoConnectProvider,
} from '@corbado/connect-react';
import { createElement } from 'react';
import { createPortal } from 'react-dom';
import { createRoot } from 'react-dom/client';

const nothing = () => {};

// The components call these without asking whether they are there.
const defaults = {
  onLoaded: nothing,
  onFallback: nothing,
  onError: nothing,
  onSkip: nothing,
  onComplete: nothing,
};

/**
 * The components know https only, except where a process is stored that names another address. A sandbox on this machine
 * (`frontendApiUrl`) is such an address.
 */
function pointTo(frontendApiUrl, projectId) {
  const key = `cbo_connect_process-${projectId}`;
  try {
    if (JSON.parse(localStorage.getItem(key)).frontendApiUrl === frontendApiUrl) return;
  } catch {
    // Nothing is stored, or nothing of use.
  }
  const process = { id: '', frontendApiUrl, loginData: null, appendData: null, manageData: null };
  localStorage.setItem(key, JSON.stringify(process));
}

function mount(element, component, options) {
  const { projectId, frontendApiUrl, frontendApiUrlSuffix, ...rest } = options;
  if (frontendApiUrl) pointTo(frontendApiUrl, projectId);
  const root = createRoot(element);
  root.render(
    createElement(
      CorbadoConnectProvider,
      { isWebJs: true, projectId, frontendApiUrlSuffix },
      // Without it the dialogues of the list never appear.
      createPortal(createElement(CorbadoConnectModal), document.body),
      createElement(component, { ...defaults, ...rest }),
    ),
  );
  return () => root.unmount();
}

window.Corbado = {
  mountCorbadoConnectLogin: (element, options) => mount(element, CorbadoConnectLogin, options),
  mountCorbadoConnectAppend: (element, options) => mount(element, CorbadoConnectAppend, options),
  mountCorbadoConnectPasskeyList: (element, options) => mount(element, CorbadoConnectPasskeyList, options),
};
