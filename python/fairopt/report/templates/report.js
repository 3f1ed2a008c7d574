"use strict";
(() => {
  const one = (query, within = document) => within.querySelector(query);
  const all = (query, within = document) => [...within.querySelectorAll(query)];
  const root = document.documentElement;
  root.classList.add("has-script");

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text != null) made.textContent = text; // untrusted text enters the page here and nowhere else
    if (className) made.className = className;
    return made;
  }

  // Theme: the system's, until the button says otherwise.
  one("#theme").addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
  });

  // A link to the heading of what is folded opens it.
  const unfold = () => {
    const heading = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const next = heading && heading.nextElementSibling;
    if (next && next.matches("details")) next.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();

  // Sortable tables: a real button in each header.
  for (const table of all("table[data-sort]")) {
    all("thead th", table).forEach((header, column) => {
      const button = element("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sort(table, header, column));
    });
  }

  function sort(table, header, column) {
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    all("th[aria-sort]", table).forEach(other => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const text = row => row.cells[column].textContent.trim();
    const number = row => parseFloat(text(row).replace("\u2212", "-").replace(/[+±,<\s]/g, "").replace(/^\./, "0."));
    const compare = (a, b) => {
      const difference = number(a) - number(b);
      return (Number.isNaN(difference) ? text(a).localeCompare(text(b)) : difference) * (ascending ? 1 : -1);
    };
    const body = table.tBodies[0];
    [...body.rows].sort(compare).forEach(row => body.append(row));
  }

  // Forest: which variants, and in which order the groups.
  for (const box of all("input[id^=show-]")) {
    const rows = all(`.variant-${box.id.slice(5)}`);
    box.addEventListener("change", () => {
      for (const row of rows) {
        // The first row of a group also carries the group's name, which stays.
        const hide = row.closest(".forest") ? all(":scope > td", row) : [row];
        hide.forEach(part => part.classList.toggle("off", !box.checked));
      }
    });
  }
  const order = one("#order");
  if (order) order.addEventListener("change", () => {
    const value = body => body.dataset[order.value];
    for (const table of all(".forest table")) {
      all("tbody.group", table)
        .sort((a, b) => order.value === "name" ? value(a).localeCompare(value(b)) : value(b) - value(a))
        .forEach(body => table.append(body));
    }
  });

  const browser = one("#flip-browser");
  if (browser) browseFlips();

  // Flips: all rows in a JSON block, one page of them in the document. Strings come as visible text.
  function browseFlips() {
    const perPage = 20;
    const directions = { worse: "\u25b2 harmful", better: "\u25bd opposite" };
    const data = JSON.parse(one("#fairopt-flips").textContent);
    const rows = data.rows.map(([key, benchmark, metric, group, text, item, harmful, before, after]) => {
      const [start, middles, end] = data.texts[text];
      return {
        key, name: data.variants[key], benchmark: data.benchmarks[benchmark], metric: data.metrics[metric],
        group: data.groups[group], item, direction: harmful ? "worse" : "better", before, after, start, middles, end,
        searched: [start, ...middles, end].join("\n").toLowerCase(),
      };
    });
    const orders = {
      size: (a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before),
      item: (a, b) => a.item.localeCompare(b.item, "en", { numeric: true }),
      group: (a, b) => a.group.localeCompare(b.group, "en"),
      before: (a, b) => a.before - b.before,
      after: (a, b) => b.after - a.after,
    };
    const control = name => one(`#flip-${name}`);
    const chosen = name => control(name) ? control(name).value : "";
    let page = 0;
    let found = rows;

    function draw() {
      const last = Math.max(0, Math.ceil(found.length / perPage) - 1);
      page = Math.min(page, last);
      const shown = found.slice(page * perPage, (page + 1) * perPage);
      control("rows").replaceChildren(...(shown.length ? shown.map(drawRow) : [drawNothing()]));
      const range = shown.length ? `, rows ${page * perPage + 1}\u2013${page * perPage + shown.length}` : "";
      control("count").textContent = `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} flips${range}`;
      control("previous").disabled = page === 0;
      control("next").disabled = page >= last;
    }

    function drawRow(flip) {
      const head = element("th", flip.group);
      head.scope = "row";
      head.append(element("small", flip.item));
      const variant = element("td", flip.name);
      variant.append(element("small", flip.metric));
      const texts = element("td");
      texts.append(...drawTexts(flip));
      const row = element("tr");
      row.append(head, variant, element("td", directions[flip.direction]),
        element("td", `${signed(flip.before)} \u2192 ${signed(flip.after)}`, "number"), texts);
      row.setAttribute("role", "row");
      [...row.cells].forEach((cell, index) => cell.setAttribute("role", index ? "cell" : "rowheader"));
      return row;
    }

    function drawNothing() {
      const row = element("tr"), cell = element("td", "No flip matches these filters.");
      cell.colSpan = 5;
      row.append(cell);
      return row;
    }

    function filter() {
      const text = chosen("text").trim().toLowerCase();
      found = rows.filter(flip =>
        (!chosen("variant") || flip.key === Number(chosen("variant"))) &&
        ["benchmark", "metric", "group", "direction"].every(name => !chosen(name) || flip[name] === chosen(name)) &&
        (!text || flip.searched.includes(text)));
      found.sort(orders[chosen("order")]); // stable: equal rows stay largest first
      page = 0;
      draw();
    }

    let waiting;
    control("text").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
    ["variant", "benchmark", "metric", "group", "direction", "order"].map(control).filter(Boolean)
      .forEach(c => c.addEventListener("change", filter));
    control("previous").addEventListener("click", () => { page -= 1; draw(); });
    control("next").addEventListener("click", () => { page += 1; draw(); });
    browser.addEventListener("toggle", () => { if (browser.open) draw(); });
    control("csv").addEventListener("click", () => save("fairopt-flips.csv", "text/csv;charset=utf-8", csv(found)));
  }

  // Two texts are shown whole, with what differs marked; of more, what they share is shown once.
  function drawTexts({ start, middles, end }) {
    const short = middles.length > 2;
    const boxes = middles.map((middle, index) => {
      const box = element("div", null, "text");
      box.dir = "auto";
      box.append(element("i", String(index + 1)), " ");
      if (start && !short) box.append(start, " ");
      if (middle) box.append(middles.length > 1 ? element("mark", middle) : middle);
      if (end && !short) box.append(" ", end);
      return box;
    });
    if (!short) return boxes;
    const shared = element("div", [start, end].filter(Boolean).join(" \u2026 "), "text");
    shared.dir = "auto";
    return [shared, ...boxes];
  }

  function signed(value) {
    const text = Math.abs(value).toFixed(2);
    return Number(text) === 0 ? text : (value > 0 ? "+" : "\u2212") + text;
  }

  // Downloads: from memory, no network. Text cells that a spreadsheet would run as a formula are defused.
  function csv(flips) {
    const cell = value => typeof value === "number" ? String(value)
      : `"${String(value).replace(/^\s*[=+\-@\t\r]/, "'$&").replace(/"/g, '""')}"`;
    const most = Math.max(0, ...flips.map(f => f.middles.length));
    const head = ["variant", "benchmark", "metric", "item", "group", "direction", "margin_base", "margin_variant",
      ...Array.from({ length: most }, (_, k) => `text_${k + 1}`)];
    const body = flips.map(f => [f.name, f.benchmark, f.metric, f.item, f.group, f.direction, f.before, f.after,
      ...Array.from({ length: most }, (_, k) => k < f.middles.length ? [f.start, f.middles[k], f.end].filter(Boolean).join(" ") : "")]);
    return "\ufeff" + [head, ...body].map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  function save(name, type, text) {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  one("#json").addEventListener("click", () => save("report.json", "application/json", one("#fairopt-report").textContent));

  // Paper: open what belongs on it, and close it again.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details.print:not([open])");
    opened.forEach(box => { box.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach(box => { box.open = false; }));
})();
