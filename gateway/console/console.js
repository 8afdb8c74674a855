// Makes pages better that work without it: a form is sent once, a text is copied, an open list closes.
"use strict";

// A second press while the first is under way sends nothing. The request's id in the form catches what this does not. A
// button whose answer opens beside the page leaves the form as it is, to be sent later. Who presses Stop stays on the page:
// browsers that tell so make the form ready at once, the others after ten seconds.
const stopped = 10_000;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented || event.submitter?.formTarget === "_blank") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  for (const button of form.querySelectorAll("button:not([type=button])")) button.setAttribute("aria-disabled", "true");
  setTimeout(ready, stopped);
});

// Makes all forms ready to be sent.
function ready() {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
  }
}
// Who comes back by the back button finds a form that can be sent, and so does who stopped it.
window.addEventListener("pageshow", ready);
window.navigation?.addEventListener("navigateerror", ready);

// <button type="button" hidden data-copy="ID" data-copied="Copié">Copier</button> copies the text of the element ID, and says so
// to a screen reader too.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  const label = button.textContent;
  const told = document.createElement("span");
  told.className = "hidden";
  told.setAttribute("role", "status");
  button.after(told);
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    button.textContent = told.textContent = button.dataset.copied;
    setTimeout(() => {
      button.textContent = label;
      told.textContent = "";
    }, 2000);
  });
}

// The lists of the bar close on a click elsewhere and on Escape.
const drops = () => document.querySelectorAll(".drop[open]");
document.addEventListener("click", (event) => {
  for (const drop of drops()) if (!drop.contains(event.target)) drop.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const drop of drops()) {
    drop.open = false;
    drop.querySelector("summary").focus();
  }
});

// The summary of a refused form gets the focus where autofocus did not.
const summary = document.querySelector(".summary");
if (summary && document.activeElement === document.body) summary.focus();

// Buttons that put Markdown around what is selected: <p hidden data-markdown="ID"> with buttons of data-before and data-after,
// or of data-line for the beginning of a line.
for (const bar of document.querySelectorAll("[data-markdown]")) {
  const area = document.getElementById(bar.dataset.markdown);
  if (!area) continue;
  bar.hidden = false;
  area.before(bar);
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { selectionStart: start, selectionEnd: end, value } = area;
    const chosen = value.slice(start, end);
    const { before = "", after = "", line } = button.dataset;
    const lineStart = value.lastIndexOf("\n", start - 1) + 1;
    if (line) area.setRangeText(line, lineStart, lineStart, "end");
    else area.setRangeText(before + (chosen || button.textContent) + after, start, end, "select");
    area.focus();
  });
}
