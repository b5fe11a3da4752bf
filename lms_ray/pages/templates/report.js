"use strict";
// Follow a candidate, sort, search, copy. The page says the same without it.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  root.classList.add("js");

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const isShown = (element) => element.getClientRects().length > 0;
  const LANGUAGES = "Search: a language or its code";
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

  // --- Search: rows (or sections) in which every word begins some word.
  function searched(unit) {  // without commands and paths, which hold every other language's code, too
    const copy = unit.cloneNode(true);
    copy.querySelectorAll("code, button").forEach((part) => part.remove());
    return plain(copy.textContent);
  }
  function search(box, label, hint, units, changed = () => {}) {
    let texts = null;  // read when they are first asked for
    const input = make("input", { type: "search", placeholder: hint });
    input.setAttribute("aria-label", `Search in ${label}`);
    const count = make("span", { className: "soft" });
    count.setAttribute("role", "status");
    input.addEventListener("input", () => {
      const words = plain(input.value).split(/\s+/).filter(Boolean)
        .map((word) => new RegExp(`(?<![\\p{L}\\p{N}])${word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")}`, "u"));
      texts ??= units.map(searched);
      let found = 0;
      units.forEach((unit, place) => {
        unit.hidden = !words.every((word) => word.test(texts[place]));
        found += !unit.hidden;
      });
      count.textContent = words.length ? `${found} of ${units.length}` : "";
      changed();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && input.value) {
        input.value = "";
        input.dispatchEvent(new Event("input"));
        event.stopPropagation();
      }
    });
    box.before(make("div", { className: "tools" }, input, count));
  }

  // --- Sort: numbers by the first in a cell, words by their letters, what has no value last; equals stay as they were.
  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const keyOf = (cell, isNumber) => {
    const text = cell.textContent.trim();
    if (!text || text === "-") return null;
    if (!isNumber) return text;
    const [, less, number] = /^(<?)\[?([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)/i.exec(text);
    return less ? Number(number) * 0.999 : Number(number);
  };
  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const blocks = [...table.tBodies].map((body) => [body, [...body.rows]]);
    const sort = (column, state) => {
      const isNumber = heads[column].classList.contains("n");
      const sign = state === "descending" ? -1 : 1;
      for (const [body, rows] of blocks) {
        const keyed = rows.map((row) => [state ? keyOf(row.cells[column], isNumber) : 0, row]);
        keyed.sort(([a], [b]) =>
          a === null || b === null ? (a === null) - (b === null) : sign * (isNumber || !state ? a - b : words.compare(a, b)));
        body.append(...keyed.map(([, row]) => row));
      }
      heads.forEach((head) => head.removeAttribute("aria-sort"));
      if (state) heads[column].setAttribute("aria-sort", state);
      table.classList.toggle("sorted", Boolean(state));
    };
    heads.forEach((head, column) => {
      if ("plain" in head.dataset) return;
      const button = make("button", { type: "button" }, ...head.childNodes);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
        sort(column, next);
        table.closest(".scroll").scrollTop = 0;
      });
      head.append(button);
    });
  }

  // --- Follow: one candidate, lit wherever it stands.
  const marks = new Map();
  for (const mark of document.querySelectorAll("[data-c]")) {
    const number = Number(mark.dataset.c);
    marks.has(number) ? marks.get(number).push(mark) : marks.set(number, [mark]);
  }
  const pools = [...document.querySelectorAll(".dots[data-scores]")].map((path) => ({
    path,
    target: path.closest("tr").cells[0].firstChild.textContent.trim(),
    scores: path.dataset.scores.split(" "),
    points: null,
  }));
  const pointsOf = (pool) => (pool.points ??=
    [...pool.path.getAttribute("d").matchAll(/M(-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]));
  const card = make("aside", { id: "card", hidden: true });
  card.setAttribute("aria-label", "Candidate");
  card.setAttribute("aria-live", "polite");
  const told = make("div");
  const stop = make("button", { type: "button" }, "Stop following (Escape)");
  stop.addEventListener("click", () => pin(null));
  card.append(told, stop);
  document.body.append(card);
  let lit = null, pinned = null, rings = [];

  function light(number, here = "") {
    if (number !== lit) {
      for (const mark of marks.get(lit) ?? []) mark.classList.remove("on");
      rings.forEach((ring) => ring.remove());
      rings = [];
      lit = number;
      for (const mark of marks.get(number) ?? []) mark.classList.add("on");
      const place = data.pool.indexOf(number);
      if (place >= 0) {
        for (const pool of pools.filter((pool) => isShown(pool.path))) {
          const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
          const [x, y] = pointsOf(pool)[place];
          for (const [name, value] of Object.entries({ class: "ring", cx: x, cy: y, r: 4.5 })) ring.setAttribute(name, value);
          pool.path.after(ring);
          rings.push(ring);
        }
      }
    }
    card.hidden = number === null;
    if (number === null) return;
    const lines = [make("strong", {}, data.ids[number]), ...[here, data.facts[number]].filter(Boolean)];
    told.replaceChildren(...lines.map((line) => make("p", {}, line)));
    stop.hidden = pinned === null;
  }
  function pin(number, here) {
    for (const mark of marks.get(pinned) ?? []) mark.removeAttribute("aria-pressed");
    pinned = number;
    light(number, here);
    if (document.activeElement?.dataset?.c !== undefined) press(document.activeElement);
  }
  const press = (mark) => mark.setAttribute("aria-pressed", String(Number(mark.dataset.c) === pinned));
  const titleOf = (mark) => mark.querySelector("title")?.textContent ?? "";
  const scoreOf = (pool, place) => `${pool.target}: ${(pool.scores[place] / 10).toFixed(1)}`;
  // What a mark says of its candidate besides its name: its own words, or the score for the target in whose row it stands.
  function said(mark) {
    if (titleOf(mark)) return titleOf(mark).replace(`${data.ids[mark.dataset.c]}, `, "");
    const row = mark.closest("tr").cells[0].textContent.trim().split(/\s/)[0];
    const target = mark.closest("section")?.querySelector("h3").id.replace("why-", "") ?? row;
    const pool = pools.find((one) => one.target === target);
    const place = data.pool.indexOf(Number(mark.dataset.c));
    return pool && place >= 0 ? scoreOf(pool, place) : "";
  }
  const markAt = (event) => event.target.closest?.("[data-c]");
  // A dot is small, and all of a pool are one path: the nearest counts.
  function dotAt(event) {
    const strip = event.target.closest?.("svg.strip");
    const pool = strip && pools.find((pool) => pool.path.ownerSVGElement === strip);
    if (!pool) return null;
    const box = strip.getBoundingClientRect();
    const scale = strip.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let best = [7, -1];
    pointsOf(pool).forEach(([dotX, dotY], place) => {
      const distance = Math.hypot(dotX - x, dotY - y);
      if (distance < best[0]) best = [distance, place];
    });
    return best[1] < 0 ? null : [data.pool[best[1]], scoreOf(pool, best[1])];
  }
  const found = (event) => {
    const mark = markAt(event);
    return mark ? [Number(mark.dataset.c), said(mark)] : dotAt(event);
  };
  document.addEventListener("pointermove", (event) => {
    if (card.contains(event.target)) return;
    const at = found(event);
    if (at) light(...at);
    else if (lit !== pinned && document.activeElement?.dataset?.c !== String(lit)) light(pinned);
  });
  document.addEventListener("click", (event) => {
    const at = found(event);
    if (at) pin(at[0] === pinned ? null : at[0], at[1]);
  });
  document.addEventListener("focusin", (event) => {
    const mark = markAt(event);
    if (mark) light(Number(mark.dataset.c), said(mark));
  });
  document.addEventListener("focusout", (event) => {
    if (markAt(event)) light(pinned);
  });
  document.addEventListener("toggle", () => {  // what is unfolded was not drawn into
    const number = lit;
    if (number === null) return;
    light(null);
    light(number);
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && lit !== null) pin(null);
  });

  // --- The keyboard: of a table's candidates one is a stop of the tab key, and arrows go to the others.
  function stops(table) {
    let stop = null;
    const all = () => [...table.querySelectorAll("[data-c]")].filter(isShown);
    const become = (mark) => {
      stop?.removeAttribute("tabindex");
      stop = mark;
      if (!mark) return;
      mark.setAttribute("tabindex", "0");
      mark.setAttribute("role", "button");
      mark.setAttribute("aria-label", titleOf(mark) || mark.textContent);
      press(mark);
    };
    table.addEventListener("keydown", (event) => {
      const mark = markAt(event);
      if (!mark) return;
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Enter" || event.key === " ") mark.dispatchEvent(new MouseEvent("click", { bubbles: true }));
      else if (step) {
        const row = mark.closest("tr");
        const own = [...row.querySelectorAll("[data-c]")];
        let next;
        if (event.key.endsWith("Down") || event.key.endsWith("Up")) {
          let other = row;
          do other = step > 0 ? other.nextElementSibling : other.previousElementSibling;
          while (other && (other.hidden || !other.querySelector("[data-c]")));
          next = other && [...other.querySelectorAll("[data-c]")].at(Math.min(own.indexOf(mark), other.querySelectorAll("[data-c]").length - 1));
        } else {
          const marks = all();
          next = marks[marks.indexOf(mark) + step];
        }
        if (next) {
          become(next);
          next.focus();
        }
      } else return;
      event.preventDefault();
    });
    table.addEventListener("focusin", (event) => {
      const mark = markAt(event);
      if (mark && mark !== stop) become(mark);
    });
    const first = () => {
      if (!stop || !isShown(stop)) become(table.querySelector("tr:not([hidden]) [data-c]"));
    };
    first();
    return first;
  }

  for (const table of document.querySelectorAll("table.data")) {
    const region = table.closest(".scroll");
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
    const restop = stops(table);
    if (rows.length > 1) sortable(table);
    if (rows.length > 7) {
      const hint = table.tHead.rows[0].cells[0].textContent.startsWith("Target") ? LANGUAGES : "Search these rows";
      search(region, region.getAttribute("aria-label"), hint, rows, restop);
    }
  }
  for (const items of document.querySelectorAll(".items")) {
    if (items.children.length > 7) search(items, items.dataset.label, LANGUAGES, [...items.children]);
  }

  // --- Go to what is folded: some browsers unfold it by themselves.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    let folded = link && document.getElementById(decodeURIComponent(link.hash.slice(1)))?.closest("details");
    for (; folded; folded = folded.parentElement.closest("details")) folded.open = true;
  });

  // --- Copy a command.
  for (const command of document.querySelectorAll("code.command")) {
    const button = make("button", { type: "button", className: "copy" }, "Copy");
    button.setAttribute("aria-label", `Copy: ${command.textContent}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(command.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(command);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    command.before(button);
  }
})();
