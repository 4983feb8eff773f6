// What the theme leaves out for readers by keyboard and by ear: levels, names, and a way to scroll.
document.addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.setAttribute("aria-level", "2");
  document.querySelector("aside.sidebar-drawer")?.setAttribute("aria-label", "Pages");
  document.querySelector("aside.toc-drawer")?.setAttribute("aria-label", "This page");
  for (const region of document.querySelectorAll("div.highlight pre, div.table-wrapper")) region.tabIndex = 0;
});
