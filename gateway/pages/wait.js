// A page that waits looks again by itself, and says so when something changed. Without this script its link does the same.
//
//   <p data-wait="2,3,5" data-look="?look=1" data-told="This page updates itself.">…link…</p>, and a main of data-state
"use strict";
(() => {
  const line = document.querySelector("[data-wait]");
  if (!line) return;
  const live = document.createElement("p");
  live.className = "hidden";
  live.setAttribute("role", "status");
  document.body.prepend(live);
  const told = document.createElement("span");
  told.textContent = `${line.dataset.told} `;
  line.prepend(told);

  const visible = () =>
    document.hidden ? new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true })) : undefined;
  const later = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

  /** Puts a new state in the place of the old one, without taking the reader's place. */
  const show = (fresh) => {
    const main = document.querySelector("main");
    const held = main.contains(document.activeElement);
    const next = document.adoptNode(fresh.querySelector("main"));
    main.replaceWith(next);
    document.title = fresh.title;
    live.textContent = [...next.querySelectorAll("h1, .lead")].map((part) => part.textContent).join(" ");
    if (!held) return;
    const heading = next.querySelector("h1");
    heading.tabIndex = -1;
    heading.focus();
  };

  (async () => {
    const { state } = document.querySelector("main").dataset;
    for (const seconds of line.dataset.wait.split(",")) {
      await later(Number(seconds));
      await visible();
      try {
        const answer = await fetch(line.dataset.look, { cache: "no-store" });
        if (!answer.ok) continue;
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const { state: now } = fresh.querySelector("main").dataset;
        if (now === state) continue;
        show(fresh);
        return;
      } catch {
        // Offline, or an answer that was cut: the next look may do.
      }
    }
    told.remove();
  })();
})();
