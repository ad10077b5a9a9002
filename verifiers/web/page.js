// The page around the verifier: takes files, hands their bytes over, shows what it is told.
//
// The verdict and every sentence about it come from the verifier inside. Nothing of a bundle becomes markup: text goes in as
// text, and the policy of the page forbids the rest. Each verification gets an instance of its own, which is thrown away.
"use strict";

(() => {
  // The numbers of `Kind` and `Form` in crates/gantral-verify-web/src/session/value.rs.
  const KIND = { tar: 0, path: 1, content: 2, trust: 3, receipts: 4, checkpoint: 5, entries: 6, statement: 7, list: 8 };
  const FORM = { json: 0, text: 1, sentences: 2, failure: 3, wanted: 4, progress: 5 };

  // How much of a file is read at once, in bytes: a multiple of what one call takes.
  const SLICE_BYTES = 4 << 20;
  const PUSH_BYTES = 32;
  // How many files are read at the same time.
  const READ_AHEAD = 32;
  // One more than a bundle may have: then the verifier says that there are too many.
  const BUNDLE_FILES_MAX = 100_001;
  const MIRROR_FILES_MAX = 2_000_000;
  const WINDOW_FILES_MAX = 2_000_000;
  // What is at the root of a window (`spec/window.md` X1); the first makes a folder one.
  const WINDOW_STATEMENT = "window.dsse.json";
  const WINDOW_LIST = "instances.json";
  const WINDOW_KEYS = "keys";
  // How long the page is busy with a window before it draws again, in milliseconds.
  const BREATH_MS = 200;
  // After how many files it draws again while it only looks at their names.
  const NAMES_AT_ONCE = 10_000;
  // How many places one line names.
  const PLACES_SHOWN_MAX = 8;
  // How many moments, or places in a window, are shown at once; a button shows as many again.
  const MOMENTS_SHOWN = 500;
  const FOUND_SHOWN = 20;

  const WEIGHTS = [
    ["INVALID", "What is wrong"],
    ["INCONCLUSIVE", "What is missing or unknown"],
    ["NOTE", "Notes"],
  ];
  // Who is at fault, and who can supply what is missing.
  const AT_FAULT = {
    copy: "this copy",
    issuer: "the issuer, who signed it",
    log: "the log",
    human: "the people who decided",
    "relying party": "what you have pinned",
  };
  const ASKED = {
    copy: "whoever gave you this copy",
    issuer: "the issuer",
    log: "the operator of the log",
    human: "the people who decided",
    "relying party": "yourself: it is a matter of your trust file",
  };
  const HEX = /^[0-9a-f]{64}$/;
  const BY_HUMANS = ["vote", "approved", "overridden", "rejected", "extended"];
  const DONE = ["consumed", "outcome", "reconciled", "observed"];

  const find = (selector, within = document) => within.querySelector(selector);
  const main = find("main");
  const answer = find("#answer");
  const given = { bundle: null, trust: null, mirror: null, receipts: null };
  let compiled = null;
  let turn = 0;
  let saved = [];

  // ---- The verifier.

  function compile() {
    compiled ??= WebAssembly.compile(
      Uint8Array.from(atob(find("#verifier").textContent.trim()), (c) => c.charCodeAt(0)),
    );
    return compiled;
  }

  class Verifier {
    static async begin() {
      // It gets no imports: it can reach nothing but what is pushed into it.
      return new Verifier((await WebAssembly.instantiate(await compile(), {})).exports);
    }

    constructor(exports) {
      this.exports = exports;
    }

    push(bytes) {
      const whole = bytes.byteLength - (bytes.byteLength % PUSH_BYTES);
      let view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const { gantral_push: push } = this.exports;
      const eight = (at) =>
        push(
          view.getUint32(at, true),
          view.getUint32(at + 4, true),
          view.getUint32(at + 8, true),
          view.getUint32(at + 12, true),
          view.getUint32(at + 16, true),
          view.getUint32(at + 20, true),
          view.getUint32(at + 24, true),
          view.getUint32(at + 28, true),
        );
      for (let at = 0; at < whole; at += PUSH_BYTES) eight(at);
      if (whole < bytes.byteLength) {
        const rest = new Uint8Array(PUSH_BYTES);
        rest.set(bytes.subarray(whole));
        view = new DataView(rest.buffer);
        eight(0);
      }
    }

    give(kind, bytes) {
      if (this.exports.gantral_begin(kind, bytes.byteLength) === 0) return;
      this.push(bytes);
      this.exports.gantral_give();
    }

    // A large file is never in memory twice.
    async giveFile(kind, file) {
      if (this.exports.gantral_begin(kind, Math.min(file.size, 0xffff_ffff)) === 0) return;
      for (let at = 0; at < file.size; at += SLICE_BYTES) {
        this.push(await bytesOf(file.slice(at, at + SLICE_BYTES)));
      }
      this.exports.gantral_give();
    }

    tell(form) {
      const length = this.exports.gantral_tell(form);
      const view = new DataView(new ArrayBuffer(length + 3));
      for (let at = 0; at < length; at += 4) {
        const word = this.exports.gantral_word(at);
        for (let byte = 0; byte < 4 && at + byte < length; byte += 1) view.setUint8(at + byte, word >>> (8 * byte));
      }
      return new TextDecoder().decode(new Uint8Array(view.buffer, 0, length));
    }
  }

  const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer());

  async function giveBundle(verifier, { entries, whole }, isOver) {
    if (whole) return verifier.giveFile(KIND.tar, entries[0].file);
    return giveFiles(verifier, entries, isOver, (done) =>
      say(`Reading the bundle: ${done.toLocaleString("en")} of ${entries.length.toLocaleString("en")} files`),
    );
  }

  async function giveFiles(verifier, entries, isOver, tell) {
    const encoder = new TextEncoder();
    for (let at = 0; at < entries.length && !isOver(); at += READ_AHEAD) {
      tell?.(at);
      const some = entries.slice(at, at + READ_AHEAD);
      const contents = await Promise.all(some.map(({ file }) => (file.size > SLICE_BYTES ? null : bytesOf(file))));
      for (const [index, { path, file }] of some.entries()) {
        verifier.give(KIND.path, encoder.encode(path));
        const content = contents[index];
        if (content === null) await verifier.giveFile(KIND.content, file);
        else verifier.give(KIND.content, content);
      }
    }
  }

  // One bundle of the window is in memory at a time.
  async function giveWindow(verifier, { entries }, isOver) {
    const { root, folders } = await arrange(entries);
    await verifier.giveFile(KIND.statement, root.get(WINDOW_STATEMENT));
    // With these there is no verdict. The verifier says why, whatever is in them.
    if (given.receipts) verifier.give(KIND.receipts, new Uint8Array());
    if (given.mirror) verifier.give(KIND.checkpoint, new Uint8Array());
    if (root.has(WINDOW_LIST)) await verifier.giveFile(KIND.list, root.get(WINDOW_LIST));
    const keys = folders.get(WINDOW_KEYS) ?? [];
    await giveFiles(verifier, keys.map(({ path, file }) => ({ path: `${WINDOW_KEYS}/${path}`, file })), isOver);
    let drawn = -Infinity;
    while (!isOver() && verifier.exports.gantral_window() === 1) {
      if (performance.now() - drawn > BREATH_MS) {
        const [judged, of] = verifier.tell(FORM.progress).split("\n").map(Number);
        say(`Verifying: ${judged.toLocaleString("en")} of ${count(of, "bundle")}`);
        await painted();
        drawn = performance.now();
      }
      const [file, folder] = verifier.tell(FORM.wanted).split("\n");
      if (root.has(file)) await verifier.giveFile(KIND.tar, root.get(file));
      else await giveFiles(verifier, folders.get(folder) ?? [], isOver);
    }
  }

  // The files at the root of a window by their names, and those below by the folder and their paths in it.
  async function arrange(entries) {
    const [root, folders] = [new Map(), new Map()];
    for (const [index, { path, file }] of entries.entries()) {
      if (index % NAMES_AT_ONCE === 0) await painted();
      const [folder] = path.split("/", 1);
      if (folder === path) {
        root.set(path, file);
        continue;
      }
      if (!folders.has(folder)) folders.set(folder, []);
      folders.get(folder).push({ path: path.slice(folder.length + 1), file });
    }
    return { root, folders };
  }

  async function giveMirror(verifier, { entries }, isOver) {
    const files = new Map(entries.map(({ path, file }) => [path, file]));
    const checkpoint = files.get("checkpoint");
    if (checkpoint === undefined) throw new Told("the folder of the mirror has no file `checkpoint`");
    await verifier.giveFile(KIND.checkpoint, checkpoint);
    for (let objects = 1; !isOver() && verifier.exports.gantral_mirror() === 1; objects += 1) {
      if (objects % 64 === 0) say(`Reading the mirror: ${objects.toLocaleString("en")} files`);
      const names = verifier.tell(FORM.wanted).split("\n");
      const name = names.find((each) => files.has(each));
      if (name === undefined) throw new Told(`the mirror has no \`${names.join("` and no `")}\``);
      await verifier.giveFile(KIND.entries, files.get(name));
    }
  }

  // What a person is told instead of a verdict.
  class Told extends Error {}

  async function verify(isOver) {
    const verifier = await Verifier.begin();
    if (given.trust) await verifier.giveFile(KIND.trust, given.trust.entries[0].file);
    if (given.bundle.isWindow) {
      await giveWindow(verifier, given.bundle, isOver);
    } else {
      await giveBundle(verifier, given.bundle, isOver);
      if (given.receipts) await verifier.giveFile(KIND.receipts, given.receipts.entries[0].file);
      if (given.mirror) await giveMirror(verifier, given.mirror, isOver);
    }
    say("Verifying");
    await painted();
    if (isOver()) return null;
    if (verifier.exports.gantral_verify() === 3) throw new Told(verifier.tell(FORM.failure));
    const json = verifier.tell(FORM.json);
    return {
      json,
      text: verifier.tell(FORM.text),
      report: JSON.parse(json),
      sentences: JSON.parse(verifier.tell(FORM.sentences)),
    };
  }

  // Lets the browser draw before it is busy. A page in the background draws nothing, so time counts as well.
  const painted = () =>
    new Promise((go) => {
      requestAnimationFrame(() => setTimeout(go));
      setTimeout(go, 100);
    });

  async function run() {
    turn += 1;
    const mine = turn;
    const isOver = () => mine !== turn;
    if (!given.bundle) {
      answer.hidden = true;
      main.dataset.state = "idle";
      say("");
      return;
    }
    main.dataset.state = "busy";
    answer.setAttribute("aria-busy", "true");
    say("Reading");
    let show;
    try {
      const found = await verify(isOver);
      show = () => showReport(found);
    } catch (error) {
      show = () => showFailure(error);
    }
    if (isOver()) return;
    show();
    answer.removeAttribute("aria-busy");
    answer.hidden = false;
    main.dataset.state = "done";
    say(`${find("#verdict-word").textContent}. ${find("#meaning").textContent}`, true);
    // Whoever still has to choose a trust file is not taken away from it.
    if (given.trust) find("#verdict").scrollIntoView({ block: "nearest" });
  }

  // ---- The report.

  function make(name, className, text) {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function say(text, unseen = false) {
    const status = find("#status");
    status.textContent = text;
    status.classList.toggle("unseen", unseen);
  }

  function showVerdict(word, meaning, subject) {
    find("#verdict").dataset.verdict = word;
    find("#verdict-word").textContent = word || "No verdict";
    find("#meaning").textContent = meaning;
    find("#subject").textContent = subject;
    document.title = `${word || "No verdict"} · Gantral: verify evidence`;
  }

  function showFailure(error) {
    const isTold = error instanceof Told;
    const isUnread = error instanceof DOMException;
    const why = isTold
      ? error.message
      : isUnread
        ? `a file cannot be read (${error.name}); choose it again`
        : "the verifier stopped, perhaps for want of memory; try the program gantral-verify";
    showVerdict("", `Nothing was verified: ${why}.`, "");
    for (const id of ["timeline", "not-proved"]) find(`#${id}`).hidden = true;
    for (const id of ["findings", "sections", "notes"]) find(`#${id}`).replaceChildren();
    for (const id of ["save-text", "save-json", "print"]) find(`#${id}`).hidden = true;
  }

  function showReport({ json, text, report, sentences }) {
    const isWindow = "window" in report;
    showVerdict(report.verdict, sentences.meaning, isWindow ? windowSubject(report) : bundleSubject(report));
    const [wrong, missing, notes] = WEIGHTS.map(([weight, title]) => {
      const found = report.findings.filter((each) => each.weight === weight);
      const items = isWindow ? codeItems(weight, found, sentences.codes) : findingItems(weight, found);
      return items.length === 0 ? [] : [findingsPart(weight, title, items)];
    });
    find("#findings").replaceChildren(...wrong, ...missing);
    find("#notes").replaceChildren(...notes);
    find("#sections").replaceChildren(...sentences.sections.map(section));
    showTimeline(report.timeline ?? []);
    find("#not-proved").hidden = false;
    find("#not-proved ul").replaceChildren(...report.not_proved.map((each) => make("li", "", each)));
    offer([
      ["#save-text", text, "text/plain"],
      ["#save-json", `${json}\n`, "application/json"],
    ]);
    find("#print").hidden = false;
  }

  function bundleSubject(report) {
    const { execution } = report;
    if (!execution) return given.bundle.name;
    return `${execution.workflow.id} of ${execution.tenant_id}: ${count(execution.artifacts, "artifact")}, ${describeScope(report)}`;
  }

  function windowSubject({ window: said }) {
    if (!said) return given.bundle.name;
    const [from, to] = [said.from, said.to].map(instantInWords);
    return `${count(said.count, "execution")} of ${said.tenant_id}, created from ${from} to before ${to}`;
  }

  // Without the zeros that say nothing: midnight is the day.
  function instantInWords(at) {
    const [day, time] = at.replace("Z", "").split("T");
    const clock = time.replace(/\.000$/, "").replace(/^(\d\d:\d\d):00$/, "$1");
    return clock === "00:00" ? day : `${day} ${clock} UTC`;
  }

  function describeScope({ scope, execution }) {
    const claim = scope === "complete" ? "said to be complete" : "up to some moment";
    return `${claim}, state ${execution.state}`;
  }

  const count = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;

  function findingsPart(weight, title, items) {
    const part = make("section", "findings");
    part.dataset.weight = weight;
    const list = make("ul");
    list.append(...items);
    part.append(make("h2", "", title), list);
    return part;
  }

  function grouped(found, keyOf) {
    const groups = new Map();
    for (const finding of found) {
      const key = keyOf(finding);
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(finding);
    }
    return groups;
  }

  // Of a bundle: one entry for each code and sentence, with the places at which it was found.
  function findingItems(weight, found) {
    const groups = grouped(found, ({ code, message }) => `${code} ${message}`);
    return Array.from(groups.values(), (group) => {
      const [{ code, message, at_fault: party }] = group;
      const places = group.map((each) => each.where).filter((where) => where !== "bundle");
      const more = places.length - PLACES_SHOWN_MAX;
      const rest = more > 0 ? ` and ${more} more` : "";
      const where = places.length > 0 ? ` in ${places.slice(0, PLACES_SHOWN_MAX).join(", ")}${rest}` : "";
      return findingItem(weight, code, party, message, where);
    });
  }

  // Of a window: one entry for each code, with the executions at which it was found.
  function codeItems(weight, found, meanings) {
    const groups = grouped(found, ({ code }) => code);
    return Array.from(groups.keys()).sort().map((code) => {
      const group = groups.get(code);
      const instances = new Set(group.map((each) => each.instance_id).filter(Boolean));
      const where = instances.size > 0 ? ` at ${count(instances.size, "execution")}` : "";
      const item = findingItem(weight, code, group[0].at_fault, meanings[code], where);
      const list = make("ul", "places");
      item.append(list, showSome(group, FOUND_SHOWN, "place", (each) => list.append(placeItem(each))));
      return item;
    });
  }

  function findingItem(weight, code, party, text, where) {
    const item = make("li");
    item.dataset.code = code;
    const facts = make("p", "facts");
    facts.append(make("span", "code", code), where);
    if (weight === "INVALID") facts.append(` · at fault: ${AT_FAULT[party] ?? party}`);
    if (weight === "INCONCLUSIVE") facts.append(` · whom to ask: ${ASKED[party] ?? party}`);
    item.append(make("p", "", text), facts);
    return item;
  }

  function placeItem({ instance_id: instance, where, message }) {
    const item = make("li");
    item.dataset.instance = instance ?? "";
    if (instance) item.append(make("span", "code", instance));
    const place = where === "bundle" || where === "window" ? "" : `${where}: `;
    item.append(make("span", "", place + message));
    return item;
  }

  // Shows the first of many, and returns a button that shows as many again.
  function showSome(all, step, what, show) {
    const rest = make("button", "quiet rest");
    rest.type = "button";
    let shown = 0;
    const more = () => {
      all.slice(shown, shown + step).forEach(show);
      shown = Math.min(shown + step, all.length);
      rest.textContent = `Show more: ${count(all.length - shown, what)} left`;
      rest.hidden = shown === all.length;
    };
    rest.addEventListener("click", more);
    more();
    return rest;
  }

  function section({ title, lines }) {
    const part = make("section");
    const list = make("dl");
    let row;
    let label = null;
    for (const line of lines) {
      // A line without a label, or with the label of the one before, goes on with it.
      if (row === undefined || (line.label !== "" && line.label !== label)) {
        row = make("div");
        row.append(make("dt", "", line.label));
        list.append(row);
        label = line.label;
      }
      row.append(make("dd", HEX.test(line.text) ? "digest" : "", line.text));
    }
    part.append(make("h2", "", title), list);
    return part;
  }

  function showTimeline(moments) {
    find("#timeline").hidden = moments.length === 0;
    const list = find("#timeline ol");
    list.replaceChildren();
    find("#timeline .rest")?.remove();
    let day = "";
    const show = (moment) => {
      const [date, time] = moment.at.split("T");
      if (date !== day) list.append(make("li", "day", date));
      day = date;
      list.append(momentItem(moment, time));
    };
    find("#timeline").append(showSome(moments, MOMENTS_SHOWN, "artifact", show));
  }

  function momentItem({ sequence, at, event, actor, text, policy, shown }, time) {
    const kind = BY_HUMANS.includes(event) ? " human" : DONE.includes(event) ? " done" : "";
    const item = make("li", `moment${kind}`);
    const when = make("div", "when");
    const clock = make("time", "", `${time.replace(/\.\d+Z$/, "")} UTC`);
    clock.dateTime = at;
    clock.title = at;
    when.append(clock, make("span", "sequence", `artifact ${sequence}`));
    const what = make("div", "what");
    what.append(make("span", "who", actor), ` ${text}`);
    if (policy !== null) what.append(make("span", "fact", `Under policy ${policy}`));
    if (shown !== null) {
      const details = make("details", "fact");
      details.append(make("summary", "", "What they were shown"), make("p", "code", shown));
      what.append(details);
    }
    what.append(make("span", "event", event));
    item.append(when, what);
    return item;
  }

  function offer(files) {
    saved.forEach((url) => URL.revokeObjectURL(url));
    saved = files.map(([selector, content, type]) => {
      const link = find(selector);
      link.href = URL.createObjectURL(new Blob([content], { type }));
      link.hidden = false;
      return link.href;
    });
  }

  // ---- What is given.

  function complain(id, text) {
    find(`#${id} .problem`).textContent = text;
  }

  function take(id, name, entries, isFolder) {
    complain(id, "");
    if (entries.length === 0) return complain(id, "There is no file in it.");
    if (id === "mirror" && !isFolder) return complain(id, "A mirror is a folder.");
    const isWindow = id === "bundle" && entries.some(({ path }) => path === WINDOW_STATEMENT);
    // As a bundle it would be damaged, which it is not.
    if (isWindow && !isFolder && entries.length === 1) {
      return complain(id, "This is one file of a window. Choose the folder that it is in.");
    }
    if (isWindow && entries.length > WINDOW_FILES_MAX) {
      return complain(id, "This window has more files than the page can take. Give it to the program gantral-verify.");
    }
    if (id === "trust" || id === "receipts") {
      if (isFolder || entries.length > 1) return complain(id, "Choose one file, yourself: none is picked out of a folder.");
    }
    // A window asks for its bundles by name, and may have very many files.
    if (!isWindow) entries.sort((a, b) => (a.path < b.path ? -1 : Number(a.path > b.path)));
    given[id] = { name, entries, isWindow, whole: !isFolder && entries.length === 1 };
    const section = find(`#${id}`);
    section.classList.add("has");
    const more = section.closest("details");
    if (more) more.open = true;
    find(".name", section).textContent = `${name} (${describe(given[id], isFolder)})`;
    find(".chosen", section).hidden = false;
    return run();
  }

  function describe({ entries, isWindow }, isFolder) {
    const files = count(entries.length, "file");
    // A browser stops for the size of each file that was chosen: of a window's it is not asked at once.
    if (isWindow) return `a window, ${files}`;
    const size = bytesInWords(entries.reduce((sum, { file }) => sum + file.size, 0));
    return entries.length > 1 || isFolder ? `${files}, ${size}` : size;
  }

  function bytesInWords(size) {
    if (size < 1024) return count(size, "byte");
    return size < 1 << 20 ? `${(size / 1024).toFixed(0)} KiB` : `${(size / (1 << 20)).toFixed(1)} MiB`;
  }

  function drop(id) {
    given[id] = null;
    const section = find(`#${id}`);
    section.classList.remove("has");
    find(".chosen", section).hidden = true;
    complain(id, "");
  }

  function takeInput(id, input) {
    const files = Array.from(input.files);
    // The same choice again is a choice, so the field forgets it.
    input.value = "";
    if (files.length === 0) return;
    if (!input.classList.contains("folder")) {
      const name = files.length === 1 ? files[0].name : `${files.length} files`;
      take(id, name, files.map((file) => ({ path: file.name, file })), false);
      return;
    }
    const inside = (file) => file.webkitRelativePath.split("/").slice(1).join("/");
    const [folder] = files[0].webkitRelativePath.split("/");
    take(id, folder, files.map((file) => ({ path: inside(file), file })), true);
  }

  // What was dropped, asked for while it can be: once the event is over the browser forgets it.
  const droppedThings = (transfer) =>
    Array.from(transfer.items, (item) => {
      const entry = item.kind === "file" ? item.webkitGetAsEntry() : null;
      if (entry === null) return null;
      if (!entry.isDirectory) return { name: entry.name, file: item.getAsFile() };
      // Chromium reads a folder on a page that is a file by a handle only, others by the entry only.
      return { name: entry.name, entry, handle: item.getAsFileSystemHandle?.() };
    }).filter(Boolean);

  async function takeDrop(id, dropped) {
    const isFolder = dropped.some(({ entry }) => entry !== undefined);
    const [{ name }] = dropped;
    const found = [];
    say("Looking for files");
    try {
      const isWindow = id === "bundle" && (await holdsStatement(dropped));
      // One more than a window may have shows that there are too many.
      const max = id === "mirror" ? MIRROR_FILES_MAX : isWindow ? WINDOW_FILES_MAX + 1 : BUNDLE_FILES_MAX;
      for (const thing of dropped) {
        // One folder is the bundle; one of several things is a part of it.
        const prefix = dropped.length === 1 ? "" : `${thing.name}/`;
        if (thing.file) found.push({ path: thing.name, file: thing.file });
        else if (thing.handle) await walkHandle(await thing.handle, prefix, found, max);
        else await walkEntry(thing.entry, prefix, found, max);
      }
    } catch (error) {
      say("");
      complain(id, `It cannot be read (${error.name}). Choose it with the button instead.`);
      return;
    }
    say("");
    take(id, dropped.length === 1 ? name : `${dropped.length} items`, found, isFolder);
  }

  // Tells whether what was dropped is a window, before all of its files are looked for.
  async function holdsStatement(dropped) {
    if (dropped.length > 1) return dropped.some(({ name, file }) => file && name === WINDOW_STATEMENT);
    const [{ entry, handle }] = dropped;
    if (!entry) return false;
    try {
      if (handle) await (await handle).getFileHandle(WINDOW_STATEMENT);
      else await new Promise((good, bad) => entry.getFile(WINDOW_STATEMENT, {}, good, bad));
      return true;
    } catch {
      return false;
    }
  }

  function add(found, path, file) {
    found.push({ path, file });
    if (found.length % NAMES_AT_ONCE === 0) say(`Looking for files: ${found.length.toLocaleString("en")}`);
  }

  async function walkHandle(folder, prefix, found, max) {
    for await (const [name, child] of folder.entries()) {
      if (found.length >= max) return;
      if (child.kind === "directory") await walkHandle(child, `${prefix}${name}/`, found, max);
      else add(found, `${prefix}${name}`, await child.getFile());
    }
  }

  async function walkEntry(folder, prefix, found, max) {
    for (const child of await childrenOf(folder)) {
      if (found.length >= max) return;
      const path = `${prefix}${child.name}`;
      if (child.isDirectory) await walkEntry(child, `${path}/`, found, max);
      else add(found, path, await new Promise((good, bad) => child.file(good, bad)));
    }
  }

  async function childrenOf(folder) {
    const reader = folder.createReader();
    const children = [];
    for (;;) {
      const some = await new Promise((good, bad) => reader.readEntries(good, bad));
      if (some.length === 0) return children;
      children.push(...some);
    }
  }

  function listen(id) {
    const section = find(`#${id}`);
    for (const input of section.querySelectorAll("input")) input.addEventListener("change", () => takeInput(id, input));
    find(".remove", section).addEventListener("click", () => {
      drop(id);
      find("input", section).focus();
      run();
    });
    section.addEventListener("dragover", () => section.classList.add("over"));
    section.addEventListener("dragleave", (event) => {
      if (!section.contains(event.relatedTarget)) section.classList.remove("over");
    });
    section.addEventListener("drop", (event) => {
      section.classList.remove("over");
      const things = droppedThings(event.dataTransfer);
      if (things.length > 0) takeDrop(id, things);
      else complain(id, "Drop files, or a folder.");
    });
  }

  Object.keys(given).forEach(listen);
  // A file that misses its field must not replace the page.
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => event.preventDefault());
  }
  document.addEventListener("drop", (event) => {
    if (!event.target.closest?.(".given")) say("Drop it on the field that it is for.");
  });
  find("#print").addEventListener("click", () => window.print());
  find("#again").addEventListener("click", () => {
    Object.keys(given).forEach(drop);
    find(".more").open = false;
    run();
    document.title = "Gantral: verify evidence";
    window.scrollTo(0, 0);
    find("#bundle input").focus();
  });
})();
