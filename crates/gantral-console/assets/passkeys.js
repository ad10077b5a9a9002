// Passkeys: keys that people's own devices hold. It has a device make one, and sign with it; nothing here is secret or decides anything.
'use strict';

/** By the number that browsers know an algorithm by (COSE): our name, and how many bytes at the end of the encoded key are the key. */
const ALGORITHMS = { '-7': ['es256', 65], '-8': ['ed25519', 32] };
/** The flag of authenticator data that says that a key may be copied to other devices. */
const BACKUP_ELIGIBLE = 8;

const ofHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const ofBase64url = (text) =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const named = (id) => ({ type: 'public-key', id: ofBase64url(id) });

/** Sends fields, and returns what the server answers. */
async function post(path, fields) {
  const answer = await fetch(path, { method: 'POST', body: new URLSearchParams(fields) });
  if (answer.redirected) throw new Error('Your session has ended. Log in again in another window, and try once more.');
  const said = await answer.json();
  if (!answer.ok) throw new Error(`Nothing was done: ${said.detail}. ${said.remedy}`);
  return said;
}

/** Has the device make a key. */
async function made(form) {
  const { relyingParty, person, name, known } = form.dataset;
  const credential = await navigator.credentials.create({
    publicKey: {
      rp: { id: relyingParty, name: 'Gantral' },
      user: { id: ofHex(person), name, displayName: name },
      // Nobody looks at what is signed here: that the device holds the key is shown by what it signs next.
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      pubKeyCredParams: Object.keys(ALGORITHMS).map((alg) => ({ type: 'public-key', alg: Number(alg) })),
      excludeCredentials: known.split(' ').filter(Boolean).map(named),
      authenticatorSelection: { userVerification: 'required', residentKey: 'preferred' },
      attestation: 'none',
    },
  });
  const { response } = credential;
  const [algorithm, length] = ALGORITHMS[response.getPublicKeyAlgorithm()];
  const data = new Uint8Array(response.getAuthenticatorData());
  return {
    credential_id: base64url(credential.rawId),
    algorithm,
    public_key: hex(new Uint8Array(response.getPublicKey()).slice(-length)),
    aaguid: hex(data.slice(37, 53)),
    backup_eligible: (data[32] & BACKUP_ELIGIBLE) !== 0,
  };
}

/** Has the device sign a digest with one of these passkeys; returns the assertion. */
async function assertion(relyingParty, digest, passkeys) {
  const credential = await navigator.credentials.get({
    publicKey: {
      rpId: relyingParty,
      challenge: ofHex(digest),
      allowCredentials: passkeys.map((passkey) => named(passkey.credential_id)),
      userVerification: 'required',
    },
  });
  const [id, { response }] = [base64url(credential.rawId), credential];
  return JSON.stringify({
    authenticator_data: base64url(response.authenticatorData),
    client_data: base64url(response.clientDataJSON),
    credential_id: id,
    entry_digest: passkeys.find((passkey) => passkey.credential_id === id).entry_digest,
    format: 'gantral/assertion/v1',
    signature: base64url(response.signature),
  });
}

/** Says what went wrong, in words for whoever holds the device. */
function why(error) {
  switch (error.name) {
    case 'NotAllowedError': return 'Your device did not sign: it was cancelled, or took too long. Nothing was sent; try again.';
    case 'InvalidStateError': return 'This device holds a passkey of yours for this server already.';
    case 'SecurityError': return 'Passkeys of this server work under another address than this one. Ask your platform team for it.';
    default: return error.message;
  }
}

function tell(place, text, isWrong) {
  const line = place.querySelector('[data-said]');
  line.classList.toggle('problem', isWrong);
  line.textContent = text;
}

/** Adds a passkey: the device makes a key, and signs what the directory is asked to enrol. */
function add(form) {
  let key = null;
  form.addEventListener('submit', async (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    const { csrf, key: number } = form.elements;
    try {
      tell(form, 'Your device asks you now, twice: it makes the passkey, and then signs with it.', false);
      // A key that was made is used by the next try, if this one ends before it was asked for.
      key ??= await made(form);
      const draft = await post(`${form.dataset.path}/draft`, { csrf: csrf.value, ...key });
      const { entry_digest } = draft;
      const signed = await assertion(form.dataset.relyingParty, entry_digest, [{ ...key, entry_digest }]);
      const asked = { csrf: csrf.value, key: number.value, enrolment: JSON.stringify(draft.enrolment), assertion: signed };
      await post(form.dataset.path, asked);
      location.reload();
    } catch (error) {
      tell(form, why(error), true);
      delete form.dataset.sent;
    }
  });
}

/** A decision goes on its way once a passkey has signed the statement of it. */
function sign(place) {
  const form = place.closest('form');
  form.addEventListener('submit', async (event) => {
    if (event.defaultPrevented) return;
    const isSigned = form.dataset.signed;
    delete form.dataset.signed;
    if (isSigned || form.elements.sign?.checked === false) return;
    event.preventDefault();
    const button = event.submitter;
    try {
      form.elements.assertion.value = '';
      tell(place, 'Your device asks you now.', false);
      const asked = await post(place.dataset.sign, new FormData(form, button));
      form.elements.assertion.value = await assertion(asked.relying_party_id, asked.decision_digest, asked.passkeys);
      form.dataset.signed = 'yes';
      delete form.dataset.sent;
      form.requestSubmit(button);
    } catch (error) {
      tell(place, why(error), true);
      delete form.dataset.sent;
    }
  });
}

if (window.PublicKeyCredential) {
  for (const line of document.querySelectorAll('[data-without-passkeys]')) line.hidden = true;
  for (const line of document.querySelectorAll('[data-with-passkeys]')) line.hidden = false;
  document.querySelectorAll('form[data-relying-party]').forEach(add);
  document.querySelectorAll('[data-sign]').forEach(sign);
}
