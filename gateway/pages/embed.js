// A campaign in a frame tells the page that shows it how high it is, each time that this changes. Only pages of the origin
// that the campaign allows hear it.
//
//   <main data-embedder="https://vallon.example">
"use strict";
(() => {
  const { embedder } = document.querySelector("main").dataset;
  if (!embedder || parent === window) return;
  const root = document.documentElement;
  const tell = () => parent.postMessage({ cagnotteHeight: Math.ceil(root.getBoundingClientRect().height) }, embedder);
  new ResizeObserver(tell).observe(root);
})();
