// Solves the challenge of the page and sends its form again: a number is looked for whose hash begins with enough zero bits.
// Where a browser cannot hash, on plain http, the form is sent when its wait is over. Without this script its button does it.
"use strict";
(() => {
  const form = document.querySelector("form[data-difficulty]");
  const { challenge, ready } = form.elements;
  const bits = Number(form.dataset.difficulty);
  const status = document.querySelector("[role=status]");
  status.textContent = status.dataset.working;
  form.classList.add("hidden");

  const solve = async () => {
    const coder = new TextEncoder();
    for (let number = 0; ; number++) {
      const answer = `${challenge.value}.${number}`;
      const hash = new DataView(await crypto.subtle.digest("SHA-256", coder.encode(answer)));
      if (Math.clz32(hash.getUint32(0)) >= bits) return answer;
    }
  };
  const wait = () => new Promise((resolve) => setTimeout(() => resolve(challenge.value), form.dataset.seconds * 1000));

  (globalThis.crypto?.subtle ? solve() : wait()).then((answer) => {
    challenge.value = answer;
    ready.value = "";
    form.submit();
  }, () => form.classList.remove("hidden"));
})();
