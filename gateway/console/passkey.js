// Passkeys: an element with data-passkey="get" (to sign in) or "create" (to add one) appears where the browser has them.
// Its button asks data-begin for a ceremony, has the browser do it, and sends the answer to data-finish, which says where to
// go on. A form inside of the element is sent along, such as the name of a new passkey.
"use strict";

const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const toText = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const descriptors = (list) => (list ?? []).map((one) => ({ ...one, id: toBytes(one.id) }));

// The options that the browser takes: https://www.w3.org/TR/webauthn-3/#sctn-parseCreationOptionsFromJSON
function optionsOf(json) {
  const options = { ...(json.publicKey ?? json) };
  options.challenge = toBytes(options.challenge);
  if (options.user) options.user = { ...options.user, id: toBytes(options.user.id) };
  if (options.allowCredentials) options.allowCredentials = descriptors(options.allowCredentials);
  if (options.excludeCredentials) options.excludeCredentials = descriptors(options.excludeCredentials);
  return options;
}

// The answer as JSON: https://www.w3.org/TR/webauthn-3/#dom-publickeycredential-tojson
function answerOf(credential) {
  const { response } = credential;
  const answer = { id: credential.id, rawId: toText(credential.rawId), type: credential.type, clientExtensionResults: credential.getClientExtensionResults(), response: { clientDataJSON: toText(response.clientDataJSON) } };
  if (credential.authenticatorAttachment) answer.authenticatorAttachment = credential.authenticatorAttachment;
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) answer.response[name] = toText(response[name]);
  }
  if (response.getTransports) answer.response.transports = response.getTransports();
  return JSON.stringify(answer);
}

async function post(address, fields) {
  const response = await fetch(address, { method: "POST", body: new URLSearchParams(fields), headers: { Accept: "application/json" } });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function ceremony(element, lang) {
  const { passkey, begin, finish, next } = element.dataset;
  const begun = await post(`${begin}?lang=${lang}`, {});
  const publicKey = optionsOf(begun.options);
  const credential = passkey === "create" ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey });
  const form = element.querySelector("form");
  const fields = form ? Object.fromEntries(new FormData(form)) : {};
  return post(`${finish}?lang=${lang}`, { ...fields, ceremony: begun.ceremony, credential: answerOf(credential), next: next ?? "" });
}

for (const element of window.PublicKeyCredential ? document.querySelectorAll("[data-passkey]") : []) {
  element.hidden = false;
  const button = element.querySelector("button");
  const wrong = element.querySelector(".error");
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    wrong.hidden = true;
    try {
      location.assign((await ceremony(element, document.documentElement.lang)).next);
    } catch (error) {
      // What the browser says is about its own dialogue; what the service says is for people.
      wrong.textContent = error.name === "Error" && error.message ? error.message : element.dataset.failed;
      wrong.hidden = false;
      button.ariaDisabled = null;
    }
  });
}
