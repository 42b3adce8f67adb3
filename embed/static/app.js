// What the console adds to htmx. Everything here only makes easier what also works without it.
(function () {
  "use strict";
  var doc = document;

  function on(type, selector, fn) {
    doc.addEventListener(type, function (e) {
      var el = e.target instanceof Element ? e.target.closest(selector) : null;
      if (el) fn(e, el);
    });
  }

  // The viewer's zone, for times that the server writes in full.
  try {
    var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone && doc.cookie.indexOf("arus_zone=" + encodeURIComponent(zone)) < 0) {
      doc.cookie = "arus_zone=" + encodeURIComponent(zone) + "; path=/; max-age=31536000; samesite=strict";
    }
  } catch (err) { /* the server writes UTC */ }

  // Times as seen from now, as format.go writes them.
  function relative(at) {
    var s = (Date.now() - at) / 1000, ahead = s < 0;
    if (ahead) s = -s;
    if (s < 10) return ahead ? "now" : "just now";
    var text;
    if (s < 60) text = Math.floor(s) + " s";
    else if (s < 3600) text = Math.floor(s / 60) + " min";
    else if (s < 86400) text = Math.floor(s / 3600) + " h";
    else if (s < 604800) text = Math.floor(s / 86400) + " d";
    else return "";
    return ahead ? "in " + text : text + " ago";
  }
  function tick() {
    doc.querySelectorAll("time[data-relative]").forEach(function (el) {
      var text = relative(Date.parse(el.dateTime));
      if (text && el.textContent !== text) el.textContent = text;
    });
  }
  setInterval(tick, 10000);

  // Toasts.
  function toast(kind, text) {
    var box = doc.getElementById("toasts");
    if (!box) return;
    var el = doc.createElement("div");
    el.className = "alert toast-alert alert-" + kind;
    el.textContent = text;
    box.appendChild(el);
    setTimeout(function () { el.remove(); }, 6000);
  }
  on("click", "[data-dismiss]", function (e, el) { el.closest("[data-toast]").remove(); });
  doc.querySelectorAll("[data-toast].alert-success, [data-toast].alert-info").forEach(function (el) {
    setTimeout(function () { if (!el.matches(":hover, :focus-within")) el.remove(); }, 8000);
  });

  // Copying.
  function copy(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    var area = doc.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    doc.body.appendChild(area);
    area.select();
    var done = doc.execCommand("copy");
    area.remove();
    return done ? Promise.resolve() : Promise.reject(new Error("copy"));
  }
  on("click", "[data-copy]", function (e, el) {
    copy(el.dataset.copy).then(function () { toast("success", "Copied."); }, function () { toast("danger", "The browser did not let it be copied."); });
  });

  // Forms that send themselves when a choice is made.
  on("change", "form[data-autosubmit] select", function (e, el) { el.form.requestSubmit(); });
  on("change", "[data-check-all]", function (e, el) {
    doc.querySelectorAll("input[type=checkbox][name='" + CSS.escape(el.dataset.checkAll) + "']").forEach(function (box) { box.checked = el.checked; });
  });
  // What somebody has ticked is not drawn over.
  doc.addEventListener("htmx:beforeSwap", function (e) {
    if (e.detail.target.matches("[data-keep-checked]") && e.detail.target.querySelector(":checked")) e.detail.shouldSwap = false;
  });
  // A part that waits for the server to come back goes on waiting.
  doc.addEventListener("htmx:beforeSwap", function (e) {
    if (e.detail.target.matches("[data-waits]") && e.detail.xhr.status >= 500) e.detail.shouldSwap = false;
  });
  // A form is sent once.
  doc.addEventListener("submit", function (e) {
    var form = e.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) { e.preventDefault(); return; }
    form.dataset.sent = "yes";
    setTimeout(function () { delete form.dataset.sent; }, 5000);
  });
  window.addEventListener("pageshow", function () {
    doc.querySelectorAll("form[data-sent]").forEach(function (f) { delete f.dataset.sent; });
  });
  var fault = doc.querySelector("[data-focus]");
  if (fault) (doc.querySelector(".is-invalid") || fault).focus();

  // Short forms open as a dialog.
  var dialog = doc.getElementById("dialog");
  on("click", "a[data-dialog]", function (e, el) {
    if (!dialog || e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    htmx.ajax("GET", el.href, { target: "#dialog-body", swap: "innerHTML" }).then(function () {
      dialog.showModal();
      closeMenus();
      var first = dialog.querySelector("[autofocus], input:not([type=hidden]), select, textarea, .btn-ghost-secondary");
      if (first) first.focus();
    });
  });
  on("click", "dialog [data-close]", function (e, el) { e.preventDefault(); el.closest("dialog").close(); });
  on("click", "dialog", function (e, el) { if (e.target === el) el.close(); });
  on("click", "[data-open]", function (e, el) { closeMenus(); doc.getElementById(el.dataset.open).showModal(); });

  // Menus close like menus.
  function closeMenus(except) {
    doc.querySelectorAll("details.menu[open]").forEach(function (d) { if (d !== except) d.open = false; });
  }
  doc.addEventListener("click", function (e) {
    var menu = e.target instanceof Element ? e.target.closest("details.menu") : null;
    closeMenus(menu);
    var results = doc.getElementById("search-results");
    if (results && !(e.target instanceof Element && e.target.closest(".topbar-search"))) results.replaceChildren();
  });
  if (location.hash === "#sidebar") history.replaceState(null, "", location.pathname + location.search);

  // The keyboard.
  var go = {}, waiting = 0;
  var help = doc.getElementById("shortcut-list");
  doc.querySelectorAll("[data-go]").forEach(function (el) {
    go[el.dataset.go] = el;
    if (!help) return;
    var dt = doc.createElement("dt"), dd = doc.createElement("dd");
    ["g", el.dataset.go].forEach(function (key, i) {
      if (i) dt.append(" ");
      var k = doc.createElement("kbd");
      k.textContent = key;
      dt.appendChild(k);
    });
    dd.textContent = el.querySelector(".sidebar-text").textContent;
    help.append(dt, dd);
  });
  function typing(el) { return el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName); }
  function rows() { return Array.prototype.slice.call(doc.querySelectorAll("main tbody tr")).filter(function (r) { return r.querySelector("a"); }); }
  function step(by) {
    var list = rows();
    if (!list.length) return;
    var at = list.findIndex(function (r) { return r.classList.contains("selected"); });
    if (at >= 0) list[at].classList.remove("selected");
    at = Math.max(0, Math.min(list.length - 1, at + by));
    list[at].classList.add("selected");
    list[at].querySelector("a").focus();
    list[at].scrollIntoView({ block: "nearest" });
  }
  doc.addEventListener("keydown", function (e) {
    if (e.key === "Escape") {
      var menu = doc.querySelector("details.menu[open]");
      if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
      var results = doc.getElementById("search-results");
      if (results) results.replaceChildren();
      if (location.hash === "#sidebar") location.hash = "content";
      return;
    }
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      var links = Array.prototype.slice.call(doc.querySelectorAll("#search-results a"));
      var at = links.indexOf(doc.activeElement);
      if (links.length && (at >= 0 || doc.activeElement.id === "search")) {
        e.preventDefault();
        at += e.key === "ArrowDown" ? 1 : -1;
        if (at < 0) doc.getElementById("search").focus();
        else links[Math.min(at, links.length - 1)].focus();
        return;
      }
    }
    if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || doc.querySelector("dialog[open]")) return;
    if (waiting && Date.now() - waiting < 1500 && go[e.key]) { waiting = 0; e.preventDefault(); go[e.key].click(); return; }
    waiting = 0;
    if (e.key === "g") { waiting = Date.now(); return; }
    if (e.key === "?") { e.preventDefault(); doc.getElementById("shortcuts").showModal(); return; }
    if (e.key === "j" || e.key === "k") { e.preventDefault(); step(e.key === "j" ? 1 : -1); return; }
    var target = doc.querySelector("[data-shortcut='" + CSS.escape(e.key) + "']");
    if (target) {
      e.preventDefault();
      if (typing(target)) { target.focus(); target.select(); } else target.click();
    }
  });

  // Live: one stream for the page. A browser opens few connections to one host for all its tabs, so a tab that nobody
  // looks at lets go of its own after a while; shown again, it asks for everything that may have changed meanwhile.
  var restAfter = 15000, stream = null;
  function Stream(url) {
    var self = this, heard = {}, source = null;
    function tell(e) { (heard[e.type] || []).slice().forEach(function (fn) { fn(e); }); }
    self.open = function () {
      if (source) return;
      source = new EventSource(url, { withCredentials: true });
      url = url.split("?")[0]; // what happened since the page was made is told once
      source.addEventListener("missed", self.catchUp);
      source.onopen = function (e) { if (self.onopen) self.onopen(e); };
      source.onerror = function (e) { if (self.onerror) self.onerror(e); };
      Object.keys(heard).forEach(function (type) { source.addEventListener(type, tell); });
    };
    self.rest = function () { if (source) source.close(); source = null; };
    self.resting = function () { return !source; };
    self.catchUp = function () { Object.keys(heard).forEach(function (type) { tell(new MessageEvent(type)); }); };
    self.addEventListener = function (type, fn) {
      if (!heard[type]) {
        heard[type] = [];
        if (source) source.addEventListener(type, tell);
      }
      heard[type].push(fn);
    };
    self.removeEventListener = function (type, fn) { heard[type] = (heard[type] || []).filter(function (f) { return f !== fn; }); };
    self.close = self.rest;
    Object.defineProperty(self, "readyState", { get: function () { return source ? source.readyState : EventSource.CONNECTING; } });
  }
  var resting = 0;
  function rest() {
    if (!stream || stream.resting()) return;
    stream.rest();
    doc.body.classList.add("resting");
  }
  function wake() {
    clearTimeout(resting);
    if (!stream || !stream.resting()) return;
    doc.body.classList.remove("resting");
    stream.open();
    stream.catchUp();
  }
  if (window.htmx) htmx.createEventSource = function (url) {
    if (stream) stream.rest();
    stream = new Stream(url);
    if (doc.visibilityState === "hidden") doc.body.classList.add("resting"); // opened in the background
    else stream.open();
    return stream;
  };
  doc.addEventListener("visibilitychange", function () {
    if (doc.visibilityState === "hidden") resting = setTimeout(rest, restAfter);
    else wake();
  });
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", function (e) { if (e.persisted && doc.visibilityState !== "hidden") wake(); });
  doc.addEventListener("htmx:sseOpen", function () { doc.body.classList.remove("offline"); });
  doc.addEventListener("htmx:sseError", function () { doc.body.classList.add("offline"); });
  // The server says with a part how its page stands now.
  doc.addEventListener("tab", function (e) {
    if (!e.detail || !e.detail.title) return;
    doc.title = e.detail.title;
    doc.getElementById("favicon").href = e.detail.icon;
  });
  doc.addEventListener("htmx:afterSwap", tick);
  doc.addEventListener("htmx:afterSettle", function (e) {
    var wrong = e.detail.elt.querySelector && e.detail.elt.querySelector("[data-focus]");
    if (wrong) (e.detail.elt.querySelector(".is-invalid") || wrong).focus();
  });
  doc.addEventListener("htmx:sendError", function (e) { if (!e.detail.elt.matches("[data-waits]")) toast("warning", "Arus does not answer. It is tried again."); });

  // A button that fills a field in.
  on("click", "[data-fill]", function (e, el) {
    var field = doc.getElementById(el.dataset.fill);
    field.value = el.dataset.value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // Rows of fields: there is always an empty one to go on in.
  on("input", "[data-rows] input", function (e, el) {
    var row = el.parentElement, box = row.parentElement;
    if (row !== box.lastElementChild || !el.value) return;
    var next = row.cloneNode(true);
    next.querySelectorAll("input").forEach(function (i) { i.value = ""; i.removeAttribute("value"); i.autofocus = false; });
    box.appendChild(next);
  });

  // Code: a text area whose words are painted on a layer below it.
  var words = {
    python: /(#.*)|((?:[rbfRBF]{1,2})?(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))|\b(\d[\w.]*)|\b(and|as|assert|async|await|break|case|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|match|nonlocal|not|or|pass|raise|return|try|while|with|yield|None|True|False)\b|\b(abs|all|any|bool|bytes|date|datetime|Decimal|dict|enumerate|filter|float|int|len|list|map|max|min|print|range|round|set|sorted|str|sum|timedelta|tuple|zip)\b/g,
    sql: /(--.*|\/\*[\s\S]*?(?:\*\/|$))|('(?:''|[^'])*'?)|\b(\d[\d.]*(?:e[+-]?\d+)?)\b|\b(all|and|as|asc|between|by|case|cast|create|cross|delete|desc|distinct|drop|else|end|except|exists|explain|false|from|full|group|having|in|inner|insert|intersect|into|is|join|left|like|limit|not|null|offset|on|or|order|outer|over|partition|right|select|set|table|then|true|union|update|using|values|view|when|where|window|with)\b|\b(abs|avg|coalesce|count|date|datetime|first_value|iif|lag|lead|length|lower|max|min|printf|rank|replace|round|row_number|strftime|substr|sum|total|trim|upper)\b(?=\s*\()/gi,
  };
  function paint(area, layer, language) {
    var text = area.value, at = 0, out = doc.createDocumentFragment();
    if (text.length < 60000) text.replace(words[language], function (all) {
      var start = arguments[arguments.length - 2], kind = 1;
      while (kind < 6 && arguments[kind] === undefined) kind++;
      if (!all || kind > 5) return all;
      out.append(text.slice(at, start));
      var span = doc.createElement("span");
      span.className = "code-" + ["", "comment", "text", "number", "word", "name"][kind];
      span.textContent = all;
      out.append(span);
      at = start + all.length;
      return all;
    });
    out.append(text.slice(at) + "\n");
    layer.replaceChildren(out);
  }
  function editors(root) {
    root.querySelectorAll("[data-code] textarea:not([data-painted])").forEach(function (area) {
      var language = area.closest("[data-code]").dataset.code, box = doc.createElement("div"), layer = doc.createElement("pre");
      if (!words[language]) return;
      area.dataset.painted = "";
      box.className = "code-box";
      layer.setAttribute("aria-hidden", "true");
      area.before(box);
      box.append(layer, area);
      function draw() { paint(area, layer, language); layer.scrollTop = area.scrollTop; layer.scrollLeft = area.scrollLeft; }
      area.addEventListener("input", draw);
      area.addEventListener("scroll", function () { layer.scrollTop = area.scrollTop; layer.scrollLeft = area.scrollLeft; });
      var leave = false;
      area.addEventListener("keydown", function (e) {
        if (e.key === "Tab" && !e.ctrlKey && !e.altKey && !e.shiftKey && !leave) {
          e.preventDefault();
          area.setRangeText("    ", area.selectionStart, area.selectionEnd, "end");
          draw();
        } else if (e.key === "Enter" && !e.ctrlKey && !e.metaKey) {
          var line = area.value.slice(0, area.selectionStart).split("\n").pop();
          var indent = /^\s*/.exec(line)[0] + (language === "python" && /:\s*$/.test(line) ? "    " : "");
          if (indent) {
            e.preventDefault();
            area.setRangeText("\n" + indent, area.selectionStart, area.selectionEnd, "end");
            area.blur(); area.focus(); // brings the caret into view
            draw();
          }
        }
        leave = e.key === "Escape"; // then Tab goes on to the next field, as elsewhere
      });
      draw();
    });
  }
  editors(doc);
  doc.addEventListener("htmx:load", function (e) { editors(e.detail.elt); });

  // Charts: <div data-chart> holds a table with the numbers, which stays for those who cannot see the chart.
  function chart(box) {
    if (!window.uPlot || box.querySelector(".uplot")) return;
    var table = box.querySelector("table");
    var heads = Array.prototype.slice.call(table.querySelectorAll("thead th"));
    var lines = Array.prototype.slice.call(table.querySelectorAll("tbody tr"));
    if (!lines.length) return;
    var data = heads.map(function (_, i) {
      return lines.map(function (r) { return Number(r.children[i].dataset.value); });
    });
    var style = getComputedStyle(box), ink = style.color, grid = style.borderTopColor;
    var dark = doc.documentElement.getAttribute("data-bs-theme") === "dark";
    var colours = dark ? ["#2dd4bf", "#f87171", "#93c5fd"] : ["#0f766e", "#c81e1e", "#1d4ed8"];
    var height = Number(box.dataset.height) || 200;
    var bars = uPlot.paths.bars({ size: [0.7, 48] });
    var number = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
    var plot = new uPlot({
      width: box.clientWidth, height: height, padding: [12, 8, 0, 0],
      tzDate: function (ts) { return uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"); },
      scales: { x: { time: true, range: function (u, min, max) { var half = data[0].length > 1 ? (data[0][1] - data[0][0]) / 2 : 43200; return [min - half, max + half]; } }, y: { range: function (u, min, max) { return [0, Math.max(max * 1.1, 1)]; } } },
      legend: { live: true },
      cursor: { drag: { x: false, y: false } },
      axes: [
        { stroke: ink, grid: { show: false }, ticks: { show: false }, values: "{D} {MMM}", space: 70, incrs: [86400, 2 * 86400, 7 * 86400, 14 * 86400, 30 * 86400] },
        { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 52, values: function (u, vals) { return vals.map(function (v) { return number.format(v); }); } },
      ],
      series: [{ label: heads[0].textContent, value: "{YYYY}-{MM}-{DD}" }].concat(heads.slice(1).map(function (h, i) {
        return { label: h.textContent, stroke: colours[i], fill: colours[i], width: 0, paths: bars, points: { show: false }, value: function (u, v) { return v == null ? "–" : v.toLocaleString("en"); } };
      })),
    }, data, box);
    table.classList.add("visually-hidden");
    new ResizeObserver(function () { plot.setSize({ width: box.clientWidth, height: height }); }).observe(box);
  }
  function charts(root) { root.querySelectorAll("[data-chart]").forEach(chart); }
  if (doc.readyState === "complete") charts(doc); else window.addEventListener("load", function () { charts(doc); });
  doc.addEventListener("htmx:load", function (e) { if (doc.readyState === "complete") charts(e.detail.elt); });
})();
