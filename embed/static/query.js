// The editor for SQL: completion, running by the keyboard, cancelling, and a chart of the answer. Without it the form works too.
(function () {
  "use strict";
  var doc = document, form = doc.getElementById("query-form"), area = doc.getElementById("sql");
  if (!form || !area) return;

  // Running and cancelling: the request that is given up ends the query.
  var cancel = form.querySelector("[data-cancel]");
  area.addEventListener("keydown", function (e) {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); close(); form.requestSubmit(form.querySelector("[data-run]")); }
  });
  form.addEventListener("htmx:beforeRequest", function (e) { if (e.target === form) cancel.hidden = false; });
  form.addEventListener("htmx:afterRequest", function (e) { if (e.target === form) cancel.hidden = true; });
  cancel.addEventListener("click", function () {
    htmx.trigger(form, "htmx:abort");
    var note = doc.createElement("p");
    note.className = "text-secondary";
    note.textContent = "Cancelled.";
    doc.getElementById("result").replaceChildren(note);
    area.focus();
  });

  // Completion.
  var keywords = ("SELECT FROM WHERE GROUP BY ORDER BY HAVING LIMIT OFFSET JOIN LEFT JOIN INNER JOIN CROSS JOIN ON USING AS DISTINCT AND OR NOT IN LIKE BETWEEN IS NULL " +
    "CASE WHEN THEN ELSE END UNION UNION ALL EXCEPT INTERSECT WITH RECURSIVE VALUES ASC DESC CAST EXPLAIN OVER PARTITION BY FILTER EXISTS").split(/ (?=[A-Z]+)/);
  var functions = ("count sum avg min max total group_concat abs round coalesce ifnull nullif iif length lower upper trim ltrim rtrim replace substr instr printf format hex " +
    "quote random typeof unicode date time datetime julianday strftime unixepoch json json_extract json_array_length json_each row_number rank dense_rank lag lead first_value last_value ntile").split(" ");
  var tables = null, loading = null;
  function words() {
    if (!loading) {
      loading = fetch(area.dataset.words, { headers: { Accept: "application/json" } }).then(function (r) { return r.ok ? r.json() : {}; }).then(function (w) { tables = w; }, function () { tables = {}; });
    }
    return loading;
  }
  area.addEventListener("focus", words);
  var box = doc.createElement("ul"), items = [], at = 0, open = false, from = 0;
  box.className = "completion";
  box.id = "completion";
  box.setAttribute("role", "listbox");
  box.setAttribute("aria-label", "Completions");
  box.hidden = true;
  area.parentElement.appendChild(box);
  area.setAttribute("aria-controls", "completion");
  area.setAttribute("aria-autocomplete", "list");

  function quoted(name) { return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && keywords.indexOf(name.toUpperCase()) < 0 ? name : '"' + name.replace(/"/g, '""') + '"'; }
  function candidates(word, table) {
    var list = [], seen = {}, lower = word.toLowerCase();
    function add(text, kind, insert) {
      var key = kind + text;
      if (seen[key] || text.toLowerCase().indexOf(lower) !== 0 || text.toLowerCase() === lower && kind !== "function") return;
      seen[key] = true;
      list.push({ text: text, kind: kind, insert: insert });
    }
    var named = Object.keys(tables || {});
    if (table) {
      var name = table.replace(/^"|"$/g, ""), alias = new RegExp('(?:from|join)\\s+("?)([^\\s",]+)\\1\\s+(?:as\\s+)?' + name.replace(/[^A-Za-z0-9_]/g, "") + "\\b", "i").exec(area.value);
      var real = named.find(function (t) { return t.toLowerCase() === (alias ? alias[2] : name).toLowerCase(); });
      (tables[real] || []).forEach(function (c) { add(c, "column", quoted(c)); });
      return list.slice(0, 50);
    }
    var text = area.value.toLowerCase();
    named.forEach(function (t) { if (text.indexOf(t.toLowerCase()) >= 0) tables[t].forEach(function (c) { add(c, "column", quoted(c)); }); });
    named.forEach(function (t) { add(t, "table", quoted(t)); });
    if (word) {
      functions.forEach(function (f) { add(f, "function", f + "("); });
      keywords.forEach(function (k) { add(k, "keyword", k); });
    }
    return list.slice(0, 50);
  }
  function place() {
    var style = getComputedStyle(area), canvas = place.canvas || (place.canvas = doc.createElement("canvas").getContext("2d"));
    canvas.font = style.fontSize + " " + style.fontFamily;
    var before = area.value.slice(0, from).split("\n"), line = parseFloat(style.lineHeight) || 20;
    var x = area.offsetLeft + parseFloat(style.paddingLeft) + canvas.measureText(before[before.length - 1]).width - area.scrollLeft;
    var y = area.offsetTop + parseFloat(style.paddingTop) + before.length * line - area.scrollTop;
    box.style.left = Math.max(0, Math.min(x, area.parentElement.clientWidth - 240)) + "px";
    box.style.top = Math.min(y, area.offsetTop + area.offsetHeight) + "px";
  }
  function close() { open = false; box.hidden = true; area.removeAttribute("aria-activedescendant"); }
  function mark() {
    Array.prototype.forEach.call(box.children, function (el, i) { el.setAttribute("aria-selected", i === at ? "true" : "false"); });
    if (box.children[at]) { area.setAttribute("aria-activedescendant", box.children[at].id); box.children[at].scrollIntoView({ block: "nearest" }); }
  }
  function show(asked) {
    var head = area.value.slice(0, area.selectionStart);
    var m = /(?:("[^"]+"|[A-Za-z_][A-Za-z0-9_]*)\.)?([A-Za-z_][A-Za-z0-9_]*)?$/.exec(head), word = m[2] || "", table = m[1];
    if (!asked && !word && !table) { close(); return; }
    if (!asked && /'[^']*$/.test(head.slice(head.lastIndexOf("\n") + 1).replace(/'[^']*'/g, ""))) { close(); return; }
    from = area.selectionStart - word.length;
    items = candidates(word, table);
    if (!items.length) { close(); return; }
    at = 0;
    box.replaceChildren.apply(box, items.map(function (c, i) {
      var li = doc.createElement("li"), kind = doc.createElement("span");
      li.id = "completion-" + i;
      li.setAttribute("role", "option");
      li.textContent = c.text;
      kind.className = "text-secondary";
      kind.textContent = c.kind;
      li.appendChild(kind);
      li.addEventListener("mousedown", function (e) { e.preventDefault(); at = i; take(); });
      return li;
    }));
    open = true;
    box.hidden = false;
    place();
    mark();
  }
  function take() {
    var c = items[at];
    area.setRangeText(c.insert, from, area.selectionStart, "end");
    close();
    area.focus();
  }
  area.addEventListener("input", function (e) { if (e.inputType && e.inputType.indexOf("delete") === 0) { close(); return; } words().then(function () { show(false); }); });
  area.addEventListener("keydown", function (e) {
    if (e.key === " " && e.ctrlKey) { e.preventDefault(); words().then(function () { show(true); }); return; }
    if (!open) return;
    if (e.key === "ArrowDown" || e.key === "ArrowUp") { e.preventDefault(); at = (at + (e.key === "ArrowDown" ? 1 : items.length - 1)) % items.length; mark(); }
    else if (e.key === "Tab" || e.key === "Enter" && !e.ctrlKey && !e.metaKey) { e.preventDefault(); take(); }
    else if (e.key === "Escape") { e.preventDefault(); e.stopPropagation(); close(); }
    else if (e.key === "ArrowLeft" || e.key === "ArrowRight") close();
  });
  area.addEventListener("blur", function () { setTimeout(close, 150); });

  // The chart: one column across, one up.
  function numbers(table) {
    var heads = Array.prototype.map.call(table.querySelectorAll("thead th"), function (h) { return h.textContent.trim(); });
    var rows = Array.prototype.map.call(table.querySelectorAll("tbody tr"), function (r) {
      return Array.prototype.map.call(r.children, function (c) { return c.querySelector(".cell-null") ? null : c.textContent.trim(); });
    });
    return { heads: heads, rows: rows };
  }
  function numeric(rows, i) { return rows.length > 1 && rows.every(function (r) { return r[i] === null || r[i] !== "" && isFinite(Number(r[i])); }) && rows.some(function (r) { return r[i] !== null; }); }
  function select(label, options, chosen) {
    var wrap = doc.createElement("label"), el = doc.createElement("select");
    wrap.className = "chart-choice";
    wrap.append(label);
    el.className = "form-select form-select-sm";
    options.forEach(function (o) { var opt = doc.createElement("option"); opt.value = o[0]; opt.textContent = o[1]; el.appendChild(opt); });
    el.value = String(chosen);
    wrap.appendChild(el);
    return [wrap, el];
  }
  function chart(box) {
    var table = box.parentElement.querySelector("[data-answer] table");
    if (!table || !window.uPlot || box.childElementCount) return;
    var data = numbers(table), ys = [];
    data.heads.forEach(function (h, i) { if (numeric(data.rows, i)) ys.push([i, h]); });
    if (!ys.length || data.rows.length < 2) return;
    var x0 = data.heads.findIndex(function (h, i) { return !numeric(data.rows, i); });
    if (x0 < 0) x0 = 0;
    var y0 = ys.find(function (y) { return y[0] !== x0; }) || ys[0];
    box.hidden = false;
    var details = doc.createElement("details"), summary = doc.createElement("summary"), bar = doc.createElement("div"), plotBox = doc.createElement("div");
    summary.textContent = "Chart";
    bar.className = "btn-list chart-bar";
    plotBox.className = "chart-plot";
    var x = select("Across", data.heads.map(function (h, i) { return [i, h]; }), x0), y = select("Up", ys, y0[0]), kind = select("As", [["bars", "bars"], ["line", "a line"]], "bars");
    [x, y, kind].forEach(function (s) { bar.appendChild(s[0]); s[1].addEventListener("change", draw); });
    details.append(summary, bar, plotBox);
    box.appendChild(details);
    var plot = null;
    details.addEventListener("toggle", function () { if (details.open) draw(); });
    function draw() {
      var xi = Number(x[1].value), yi = Number(y[1].value), style = getComputedStyle(plotBox), ink = style.color, grid = style.borderTopColor;
      var dark = doc.documentElement.getAttribute("data-bs-theme") === "dark", colour = dark ? "#2dd4bf" : "#0f766e", isNumber = numeric(data.rows, xi) && kind[1].value === "line";
      var order = data.rows.map(function (_, i) { return i; });
      if (isNumber) order.sort(function (a, b) { return Number(data.rows[a][xi]) - Number(data.rows[b][xi]); });
      var xs = order.map(function (r, i) { return isNumber ? Number(data.rows[r][xi]) : i; });
      var vals = order.map(function (r) { return data.rows[r][yi] === null ? null : Number(data.rows[r][yi]); });
      var compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
      function label(v) { if (isNumber) return compact.format(v); var r = order[v]; return r === undefined ? "" : String(data.rows[r][xi]).slice(0, 18); }
      if (plot) plot.destroy();
      plot = new uPlot({
        width: plotBox.clientWidth, height: 240, padding: [12, 12, 0, 0], cursor: { drag: { x: false, y: false } },
        scales: { x: { time: false, range: function (u, lo, hi) { return isNumber ? [lo, hi === lo ? lo + 1 : hi] : [-0.5, xs.length - 0.5]; } }, y: { range: function (u, lo, hi) { var a = Math.min(lo, 0), b = Math.max(hi, 0); return a === b ? [0, 1] : [a, b + (b - a) * 0.08]; } } },
        axes: [
          { stroke: ink, grid: { show: false }, ticks: { show: false }, space: 90, incrs: isNumber ? undefined : [1, 2, 5, 10, 20, 50, 100, 200, 500], values: function (u, v) { return v.map(label); } },
          { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 60, values: function (u, v) { return v.map(function (n) { return compact.format(n); }); } },
        ],
        series: [{ label: data.heads[xi], value: function (u, v) { return v == null ? "" : label(v); } },
          { label: data.heads[yi], stroke: colour, fill: kind[1].value === "bars" ? colour : undefined, width: kind[1].value === "bars" ? 0 : 2, paths: kind[1].value === "bars" ? uPlot.paths.bars({ size: [0.7, 48] }) : undefined, points: { show: false }, value: function (u, v) { return v == null ? "–" : v.toLocaleString("en"); } }],
      }, [xs, vals], plotBox);
    }
    new ResizeObserver(function () { if (plot) plot.setSize({ width: plotBox.clientWidth, height: 240 }); }).observe(plotBox);
  }
  function arrive(root) {
    root.querySelectorAll("[data-query-chart]").forEach(chart);
    var bad = root.querySelector("[data-error-at]");
    if (bad) {
      var n = Number(bad.dataset.errorAt), end = n + (/^[A-Za-z0-9_]+|^./.exec(area.value.slice(n)) || [""])[0].length;
      area.focus();
      area.setSelectionRange(n, Math.max(n, end));
    }
  }
  function ready() { arrive(doc); }
  if (doc.readyState === "complete") ready(); else window.addEventListener("load", ready);
  doc.getElementById("result").addEventListener("htmx:afterSwap", function (e) { arrive(e.currentTarget); });
})();
