// Uploads: files are announced, then sent in pieces; a piece that is lost is sent again from where the server stands.
// They go on while other pages are looked at; announcing the same files again after a reload goes on as well.
(function () {
  "use strict";
  const PIECE_BYTES = 8 * 1024 * 1024;
  const TRIES = 8;
  const LONGEST_PAUSE = 15000;

  class Refused extends Error {}

  let run = null; // the upload under way, or the one that failed last

  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  async function answerOf(response) {
    if (!response.ok) throw new Refused(await response.text());
    return response.json();
  }

  async function upload(picked) {
    if (!picked.length || (run && !run.ended)) return;
    run = { files: picked, total: 0, sent: 0, current: "", began: Date.now(), ended: false, problem: null, stop: new AbortController() };
    run.total = picked.reduce((sum, each) => sum + each.file.size, 0);
    show();
    try {
      const body = JSON.stringify({
        files: picked.map(({ path, file }) => ({ path, size: file.size, modified: file.lastModified })),
      });
      const batch = await answerOf(await fetch("/uploads", { method: "POST", body, signal: run.stop.signal }));
      run.id = batch.id;
      run.sent = run.before = batch.files.reduce((sum, each) => sum + each.received, 0);
      const byPath = new Map(picked.map((each) => [each.path, each.file]));
      for (const [number, each] of batch.files.entries()) {
        run.current = each.path;
        await send(byPath.get(each.path), number, each.received);
      }
      finish(null);
      if (location.pathname === "/import") window.dash_clientside.dashboard.go(`/import?upload=${run.id}`);
    } catch (error) {
      finish(error.name === "AbortError" ? "The upload was stopped; drop the same files again to go on." : error.message);
    }
  }

  async function send(file, number, received) {
    let offset = received, tries = 0;
    while (offset < file.size) {
      try {
        const piece = file.slice(offset, offset + PIECE_BYTES);
        const response = await fetch(`/uploads/${run.id}/${number}?offset=${offset}`, {
          method: "PATCH", body: piece, signal: run.stop.signal, headers: { "Content-Type": "application/octet-stream" },
        });
        if (response.status === 409 && tries < TRIES) { // another number of bytes is there
          tries += 1;
          await pause(200 * tries);
        }
        const before = offset;
        offset = (response.status === 409 && tries <= TRIES ? await response.json() : await answerOf(response)).received;
        if (offset > before) tries = 0;
        run.sent += offset - before;
        show();
      } catch (error) {
        if (error instanceof Refused || error.name === "AbortError") throw error;
        tries += 1;
        if (tries > TRIES) throw new Error("The connection is lost; drop the same files again to go on.");
        run.current = `waiting for the connection (try ${tries} of ${TRIES})`;
        show();
        await pause(Math.min(500 * 2 ** tries, LONGEST_PAUSE));
      }
    }
  }

  function finish(problem) {
    run.ended = true;
    run.problem = problem;
    show();
  }

  // -- what is seen

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function size(bytes) {
    for (const unit of ["B", "kB", "MB", "GB"]) {
      if (bytes < 1000) return `${Number(bytes.toPrecision(3))} ${unit}`;
      bytes /= 1000;
    }
    return `${Number(bytes.toPrecision(3))} TB`;
  }

  let drawn = 0;

  function show() {
    const place = document.getElementById("upload-progress");
    if (!place || !run) return;
    if (!run.ended && Date.now() - drawn < 100) return;
    drawn = Date.now();
    if (run.ended) {
      place.replaceChildren();
      if (run.problem) {
        const box = element("div", "problem");
        box.setAttribute("role", "alert");
        box.append(element("p", "", run.problem));
        place.append(box);
      }
      return;
    }
    const share = run.total ? run.sent / run.total : 0;
    const seconds = (Date.now() - run.began) / 1000;
    const rate = seconds > 1 ? ` at ${size((run.sent - (run.before || 0)) / seconds)}/s` : "";
    const bar = element("progress", "progress-bar");
    bar.max = 1;
    bar.value = share;
    bar.setAttribute("aria-label", "Uploaded");
    const stop = element("button", "button plain", "Stop");
    stop.type = "button";
    stop.onclick = () => run.stop.abort();
    const line = element("div", "upload-line");
    line.append(bar, stop);
    place.replaceChildren(
      line,
      element("p", "hint", `${size(run.sent)} of ${size(run.total)}${rate} · ${run.current}`),
    );
  }

  // A page that was drawn anew has an empty place.
  new MutationObserver(() => {
    const place = document.getElementById("upload-progress");
    if (place && run && !place.hasChildNodes() && (!run.ended || run.problem)) { drawn = 0; show(); }
  }).observe(document.body, { childList: true, subtree: true });

  window.addEventListener("beforeunload", (event) => {
    if (run && !run.ended) event.preventDefault();
  });

  // -- what is picked or dropped

  const nested = (file) => file.webkitRelativePath || file.name;
  const listed = (files) => [...files].map((file) => ({ file, path: nested(file).normalize("NFC") }));

  async function walk(entry, above) {
    const path = above + entry.name;
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      return [{ file, path: path.normalize("NFC") }];
    }
    const reader = entry.createReader(), found = [];
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return found;
      for (const each of some) found.push(...(await walk(each, `${path}/`)));
    }
  }

  async function dropped(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.length) return listed(transfer.files);
    return (await Promise.all(entries.map((entry) => walk(entry, "")))).flat();
  }

  const zone = (event) => event.target.closest && event.target.closest("[data-import-drop]");
  const ofOthers = (event) => event.target.closest && event.target.closest("[data-upload]"); // see files.js

  document.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files") || ofOthers(event)) return;
    event.preventDefault(); // a file that misses its place must not take the place of the page
    const over = zone(event);
    event.dataTransfer.dropEffect = over ? "copy" : "none";
    for (const each of document.querySelectorAll("[data-import-drop]")) each.toggleAttribute("data-over", each === over);
  });

  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) for (const each of document.querySelectorAll("[data-over]")) each.removeAttribute("data-over");
  });

  document.addEventListener("drop", async (event) => {
    if (![...event.dataTransfer.types].includes("Files") || ofOthers(event)) return;
    event.preventDefault();
    const over = zone(event);
    for (const each of document.querySelectorAll("[data-over]")) each.removeAttribute("data-over");
    if (over) await upload(await dropped(event.dataTransfer));
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pick]");
    if (!button) return;
    const picker = element("input");
    picker.type = "file";
    picker.multiple = true;
    picker.webkitdirectory = button.dataset.pick === "folder";
    picker.onchange = () => upload(listed(picker.files));
    picker.click();
  });
})();
