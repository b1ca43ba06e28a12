// What the browser does by itself: moving between pages, the address, the side bar, the theme of figures.
(function () {
  "use strict";
  const same = window.dash_clientside = window.dash_clientside || {};
  const html = document.documentElement;

  // -- moving between pages without reloading

  function go(href) {
    history.pushState({}, "", href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate", { bubbles: true }));
    window.scrollTo(0, 0);
  }

  function isPlain(click) {
    return click.button === 0 && !(click.metaKey || click.ctrlKey || click.shiftKey || click.altKey);
  }

  let arrived = false; // whether a page has been drawn since the last reload: its reader starts at the very top
  let pending = null; // the address that was just asked for: one that is opened announces itself twice
  let written = null; // the address that a control has just written; its page is already drawn

  same.dashboard = {
    go,

    route(pathname, search) {
      setNav(false);
      const here = pathname + (search || "");
      const drawn = here === written || here === pending;
      written = null;
      pending = here;
      setTimeout(() => { pending = null; }, 300);
      if (!drawn) closeMessage();
      return drawn ? same.no_update : { path: pathname, search: search || "" };
    },

    // The page has come: its title, its place in the side bar, and the reader's focus.
    arrive(title) {
      document.title = title ? `${title} · battery-analysis` : "battery-analysis";
      for (const link of document.querySelectorAll(".nav-item")) {
        const current = link.getAttribute("href") === location.pathname;
        current ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
      }
      const focused = document.activeElement;
      if (arrived && (focused === document.body || focused.closest(".side-bar"))) {
        document.getElementById("page").focus({ preventScroll: true });
      }
      arrived = true;
      const search = document.getElementById("search");
      if (search && location.pathname === "/tests" && document.activeElement !== search) {
        search.value = new URLSearchParams(location.search).get("text") || "";
      }
      return true;
    },

    // Values of controls with an id {page, query} go into the query; what no control holds stays there.
    // The whole address goes along: dcc.Location, which knows its props only from its second drawing on, would
    // otherwise bring back the address that it has not seen change, and the page would be drawn twice.
    writeQuery(values) {
      const controls = same.callback_context.inputs_list[0];
      if (!controls.length) return [same.no_update, same.no_update];
      const query = new URLSearchParams(location.search);
      controls.forEach((control, index) => {
        const value = values[index];
        query.delete(control.id.query);
        const several = Array.isArray(value) ? value : [value];
        for (const each of several) {
          if (each !== null && each !== undefined && each !== "" && each !== false) {
            query.append(control.id.query, each === true ? "yes" : each);
          }
        }
      });
      const text = query.toString();
      const search = text ? `?${text}` : "";
      if (search === location.search) return [same.no_update, same.no_update];
      history.replaceState(history.state, "", location.pathname + search);
      written = location.pathname + search;
      return [search, location.href];
    },
  };

  // -- figures as images, in the light theme whatever the page has

  const CHARACTER_PIXELS = 6;
  const LINE_PIXELS = 18;
  const HEADING_PIXELS = 50;

  let templates = null;

  async function template(theme) {
    templates ||= await (await fetch("/figure-templates")).json();
    return templates[theme];
  }

  // Colours that traces were given one by one: those of the other theme's palette become those of this one.
  async function recoloured(data, theme) {
    const from = (await template(theme === "light" ? "dark" : "light")).layout.colorway;
    const to = (await template(theme)).layout.colorway;
    const swap = (colour) => {
      const place = from.findIndex((each) => each.toLowerCase() === String(colour).toLowerCase());
      return place < 0 ? colour : to[place];
    };
    const paint = (part) => {
      const painted = { ...part };
      for (const name of ["color", "fillcolor"]) {
        if (name in painted) painted[name] = Array.isArray(painted[name]) ? painted[name].map(swap) : swap(painted[name]);
      }
      for (const name of ["line", "marker", "error_y"]) if (painted[name]) painted[name] = paint(painted[name]);
      return painted;
    };
    return data.map(paint);
  }

  // The title, and below it what was selected: whoever finds the image later shall know what it shows.
  function heading(title, width) {
    const plain = (said) => said.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    const given = [["page", location.pathname], ...new URLSearchParams(location.search)];
    const lines = [""];
    for (const said of given.map(([name, value]) => `${name}: ${value}; `)) {
      if (lines.at(-1) && (lines.at(-1) + said).length > width / CHARACTER_PIXELS) lines.push("");
      lines[lines.length - 1] += said;
    }
    const text = [plain(title), ...lines.map((line) => `<sub>${plain(line.replace(/; $/, ""))}</sub>`)].join("<br>");
    return { text, height: HEADING_PIXELS + LINE_PIXELS * lines.length };
  }

  same.dashboard.saveImage = async (_, title) => {
    const [clicked] = same.callback_context.triggered;
    const id = clicked && clicked.value ? same.callback_context.triggered_id : null;
    if (!id || !["png", "svg"].includes(id.form)) return same.no_update;
    const key = JSON.stringify({ figure: id.figure, type: "figure" });
    const plot = document.getElementById(key).querySelector(".js-plotly-plot");
    const white = { template: await template("light"), paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff" };
    const { width, height } = plot.getBoundingClientRect();
    const head = heading(title, width);
    const above = { ...plot.layout.margin, t: plot._fullLayout.margin.t + head.height };
    const place = { x: 0.01, xanchor: "left", y: 1, yanchor: "top", pad: { t: 22 }, font: { size: 15 } };
    const titled = { margin: above, title: { text: head.text, ...place } };
    const drawn = { data: await recoloured(plot.data, "light"), layout: { ...plot.layout, ...white, ...titled } };
    const form = { format: id.form, filename: title, width, height: height + head.height, scale: 2 };
    await window.Plotly.downloadImage(drawn, form);
    return same.no_update;
  };

  // Open what a point of a figure, or its line, says it is of.
  same.dashboard.openPoint = (click) => {
    const point = click && click.points && click.points[0];
    if (!point) return same.no_update;
    const { figure } = same.callback_context.triggered_id;
    const plot = document.getElementById(JSON.stringify({ figure, type: "figure" })).querySelector(".js-plotly-plot");
    const trace = plot.data[point.curveNumber];
    const href = (point.customdata && point.customdata[1]) || (trace && trace.meta && trace.meta[1]);
    if (typeof href === "string" && /^\/[a-z]/.test(href)) go(href);
    return null;
  };

  document.addEventListener("click", (click) => {
    const link = click.target.closest("a[data-link]");
    if (link && isPlain(click)) {
      click.preventDefault();
      go(link.getAttribute("href"));
    }
  });

  document.addEventListener("submit", (submit) => {
    if (submit.target.dataset.action !== "search") return;
    submit.preventDefault();
    const text = new FormData(submit.target).get("text").trim();
    go(text ? `/tests?${new URLSearchParams({ text })}` : "/tests");
  });

  // -- messages, side bar, menus, keys

  function closeMessage() {
    if (document.querySelector("#messages > *")) same.set_props("messages", { children: [] });
  }

  function setNav(open) {
    html.toggleAttribute("data-nav-open", open);
    const button = document.querySelector("[data-action=toggle-nav]");
    if (button) button.setAttribute("aria-expanded", String(open));
  }

  document.addEventListener("click", (click) => {
    const action = click.target.closest("[data-action]")?.dataset.action;
    if (action === "toggle-nav") setNav(!html.hasAttribute("data-nav-open"));
    if (action === "close-nav") setNav(false);
    if (action === "close-message") closeMessage();
    if (action === "toggle-theme") window.dashboardTheme.toggle();
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(click.target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (key) => {
    if (key.key === "Escape") {
      setNav(false);
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
    const typing = key.target.closest("input, textarea, select, [contenteditable=true]");
    if (key.key === "/" && !typing && !(key.metaKey || key.ctrlKey || key.altKey)) { // some keyboards need Shift for it
      key.preventDefault();
      document.getElementById("search")?.focus();
    }
  });

  // -- figures follow the theme: the server draws them in the theme of the cookie, a switch later is followed here

  document.addEventListener("themechange", async (change) => {
    for (const figure of document.querySelectorAll(".js-plotly-plot")) {
      const data = await recoloured(figure.data, change.detail);
      window.Plotly.react(figure, data, { ...figure.layout, template: await template(change.detail) });
    }
  });

  // What is drawn later: the switch has to say which theme there is, and Dash's dropdown has a hidden field that
  // the Tab key must not reach.
  let isSwitchSet = false;
  new MutationObserver(() => {
    if (!isSwitchSet && document.getElementById("theme-switch")) {
      isSwitchSet = true;
      window.dashboardTheme.apply();
    }
    for (const field of document.querySelectorAll(".dash-dropdown-focus-target[tabindex='0']")) field.tabIndex = -1;
  }).observe(document.body, { childList: true, subtree: true });
})();
