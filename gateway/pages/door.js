// A device at a door serves one visitor after the other. This script forgets each of them: it empties the fields, goes back to
// the start by itself, and takes what lies between out of the browser's history. Without it there is a link to the start.
//
// The start notes its place in the history and sends it with the form; the payment page leads back to an address with that
// place, ?at=4. From there it goes back as many entries as there are, and then adds one to the start: a browser drops what was
// ahead, the payment page and all pages after it.
//
//   <main data-start="/c/…/door"> on all pages but the start; <input name="at"> in each form
"use strict";
(() => {
  // Where browsers keep no more entries, an entry added drops the oldest, so places no longer say anything.
  const most = 50;
  const fields = document.querySelectorAll("input[name=at]");
  const { start } = document.querySelector("main").dataset;

  if (!start) {
    const add = (at) => history.pushState({ at }, "");
    addEventListener("pageshow", () => {
      for (const form of document.forms) form.reset();
      const at = history.state?.at;
      if (!at) {
        // Added, it is the last entry, and knows its place.
        history.pushState(null, "");
        history.replaceState({ at: history.length }, "");
      } else if (at < history.length && history.length < most) {
        add(at + 1);
        history.back();
      }
    });
    // Not before: a form that is reset loses it.
    addEventListener("submit", () => {
      const { at } = history.state ?? {};
      for (const field of fields) field.value = at && at < most ? at : "";
    });
    return;
  }

  const at = Number(new URLSearchParams(location.search).get("at") || fields[0]?.value);
  for (const field of fields) field.value = at || "";
  const again = () => {
    if (at && at < history.length && history.length < most) {
      history.go(at - history.length);
      // Where the browser goes nowhere.
      setTimeout(() => location.replace(start), 5000);
    } else {
      location.replace(start);
    }
  };
  document.querySelector("[data-again]").addEventListener("click", (event) => {
    event.preventDefault();
    again();
  });

  const line = document.querySelector("[data-seconds]");
  const shown = line.querySelector("[data-left]");
  const whole = Number(line.dataset.seconds);
  let left = whole;
  line.hidden = false;
  const clock = setInterval(() => {
    shown.textContent = --left;
    if (left > 0) return;
    clearInterval(clock);
    again();
  }, 1000);
  // Who touches the page or types is still there.
  for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => (left = whole + 1));
  line.querySelector("[data-pause]").addEventListener("click", () => {
    clearInterval(clock);
    line.hidden = true;
    document.querySelector("[data-again]").focus();
  });
})();
