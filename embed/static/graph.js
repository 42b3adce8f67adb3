// Zoom and pan of the graph: by buttons, keys, wheel and dragging. The drawing can be read and followed without.
(function () {
  "use strict";
  var box = document.getElementById("graph");
  if (!box) return;
  var view = null, whole = null; // x, y, width, height

  function svg() { return box.querySelector("svg"); }
  function apply() { svg().setAttribute("viewBox", view.join(" ")); }
  function fit() {
    // No larger than it was drawn: a single box does not fill the screen.
    var scale = Math.max(whole[2] / box.clientWidth, whole[3] / box.clientHeight, 1);
    var w = box.clientWidth * scale, h = box.clientHeight * scale;
    view = [whole[0] - (w - whole[2]) / 2, whole[3] < h ? whole[1] - (h - whole[3]) / 2 : whole[1], w, h];
    apply();
  }
  function zoom(by, x, y) { // around a point of the drawing
    var w = view[2] * by;
    if (w < 200 || w > 8 * Math.max(whole[2], box.clientWidth)) return;
    x = x === undefined ? view[0] + view[2] / 2 : x;
    y = y === undefined ? view[1] + view[3] / 2 : y;
    view = [x - (x - view[0]) * by, y - (y - view[1]) * by, w, view[3] * by];
    apply();
  }
  function move(dx, dy) {
    view[0] += dx;
    view[1] += dy;
    apply();
  }
  function begin() {
    whole = svg().getAttribute("viewBox").split(" ").map(Number);
    svg().setAttribute("width", "100%");
    svg().setAttribute("height", "100%");
    svg().setAttribute("preserveAspectRatio", "xMidYMid meet");
    if (view) apply();
    else {
      box.style.height = Math.min(640, window.innerHeight * 0.7, whole[3] * Math.min(1, box.clientWidth / whole[2]) + 24) + "px";
      fit();
      // Text that is too small to be read is no overview: begin at the top left instead.
      if (view[2] > 2.2 * box.clientWidth) view = [whole[0], whole[1], 1.4 * box.clientWidth, 1.4 * box.clientHeight];
      apply();
    }
  }
  box.classList.add("graph-live");
  begin();
  document.addEventListener("htmx:afterSwap", function (e) {
    if (e.target.id === "graph-drawing" || e.detail.target.id === "graph-drawing") begin();
  });

  document.addEventListener("click", function (e) {
    var tool = e.target.closest("[data-graph]");
    if (tool) {
      if (tool.dataset.graph === "fit") fit();
      else zoom(tool.dataset.graph === "in" ? 0.8 : 1.25);
    }
    if (e.target.closest("[data-graph-close]")) {
      e.preventDefault();
      document.getElementById("graph-details").replaceChildren();
      box.focus();
    }
  });
  box.addEventListener("keydown", function (e) {
    if (e.target !== box || e.ctrlKey || e.metaKey || e.altKey) return;
    var steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (steps) move(steps[0] * view[2] / 10, steps[1] * view[3] / 10);
    else if (e.key === "+" || e.key === "=") zoom(0.8);
    else if (e.key === "-") zoom(1.25);
    else if (e.key === "0") fit();
    else return;
    e.preventDefault();
    e.stopPropagation();
  });
  box.addEventListener("wheel", function (e) {
    if (!e.ctrlKey && !e.metaKey && document.activeElement !== box) return; // else the page could not be scrolled past it
    e.preventDefault();
    var r = box.getBoundingClientRect();
    zoom(e.deltaY > 0 ? 1.1 : 1 / 1.1, view[0] + (e.clientX - r.left) / r.width * view[2], view[1] + (e.clientY - r.top) / r.height * view[3]);
  }, { passive: false });
  var from = null, moved = false;
  box.addEventListener("pointerdown", function (e) { if (e.button === 0) { from = [e.clientX, e.clientY]; moved = false; } });
  box.addEventListener("pointermove", function (e) {
    if (!from || !(e.buttons & 1)) { from = null; return; }
    if (!moved && Math.hypot(e.clientX - from[0], e.clientY - from[1]) < 4) return;
    moved = true;
    move((from[0] - e.clientX) * view[2] / box.clientWidth, (from[1] - e.clientY) * view[3] / box.clientHeight);
    from = [e.clientX, e.clientY];
  });
  box.addEventListener("click", function (e) { if (moved) { e.preventDefault(); e.stopPropagation(); moved = false; } }, true);
  box.addEventListener("dragstart", function (e) { e.preventDefault(); });
  // What has the focus is brought into view.
  box.addEventListener("focusin", function (e) {
    var link = e.target.closest("a");
    if (!link || !link.matches(":focus-visible")) return;
    var r = link.getBoundingClientRect(), b = box.getBoundingClientRect(), scale = view[2] / box.clientWidth;
    if (r.left < b.left || r.right > b.right) move((r.left + r.width / 2 - b.left - b.width / 2) * scale, 0);
    if (r.top < b.top || r.bottom > b.bottom) move(0, (r.top + r.height / 2 - b.top - b.height / 2) * scale);
    box.scrollTo(0, 0);
  });
})();
