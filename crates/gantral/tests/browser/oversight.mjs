// People who look after the rules, at the console, without a mouse.
//
// usage: node oversight.mjs MODULES URL rules|proposals|rule|acting [PICTURES]
// Prints one JSON line for each thing that is seen; the test compares. With PICTURES, a folder, it leaves screenshots there.

import { atProvider, say, start, tabTo } from './browser.mjs';

const [modules, url, story, pictures] = process.argv.slice(2);
const browser = await start(modules, url, pictures);
const HOSTILE = '<img src=https://evil.example/x onerror=alert(1)> \u202eti esrever';
let page;

/// Follows a link or sends a form by keyboard alone, and waits for the page that comes.
async function follow(selector) {
  await tabTo(page, selector);
  await Promise.all([page.waitForEvent('load'), page.keyboard.press('Enter')]);
}

/// Begins at the top of the page again, as after a load.
const fromTop = () => page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });

/// Writes into the field that is reached next.
async function write(selector, text) {
  await tabTo(page, selector);
  await page.keyboard.insertText(text);
}

async function as(name) {
  page = await browser.somebody();
  await page.goto(`${url}/`);
  await follow(`form:has(input[value="${name}"]) button`);
  await page.getByRole('heading', { name: 'Inbox' }).waitFor();
}

async function freeze() {
  await follow('nav[aria-label="Console"] a[href="/console/policies"]');
  await page.getByRole('heading', { name: 'Policies', exact: true }).waitFor();
  await browser.look(page, 'policies');
  await follow('nav[aria-label="Oversight"] a[href="/console/freezes"]');
  await page.getByText('Nothing is frozen.').waitFor();
  await write('input[name=name]', 'refund');
  await write('.decide textarea', HOSTILE);
  await follow('.decide button.reject');
  await page.getByText('Freeze of workflow refund').waitFor();
  await browser.look(page, 'recorded');
  await follow('a[href="/console/freezes"][data-first]');
  await page.getByText('frozen', { exact: false }).first().waitFor();
  await tabTo(page, 'summary');
  await page.keyboard.press('Enter');
  await browser.look(page, 'freezes');
  await fromTop();
  await write('details textarea', 'the provider answers again');
  await follow('details button.approve');
  await page.getByText('End of the freeze of workflow refund').waitFor();
}

async function lend() {
  await follow('nav[aria-label="Console"] a[href="/console/delegations"]');
  await write('input[name=subject]', 'carol');
  await tabTo(page, 'select[name=hours]');
  await page.keyboard.press('ArrowDown');
  await write('.decide textarea', 'on holiday');
  await follow('.decide button.approve');
  await page.getByText('lent to person').waitFor();
  await follow('a[href="/console/delegations"][data-first]');
  await browser.look(page, 'delegations');
  await follow('button.reject');
  await page.getByText('End of delegation').waitFor();
}

async function read() {
  await page.goto(`${url}/console/policies`);
  await follow('section a[href^="/console/policies/"]');
  await page.getByRole('heading', { name: 'What it says' }).waitFor();
  await tabTo(page, 'details > summary');
  await page.keyboard.press('Enter');
  await browser.look(page, 'policy');
  for (const [path, heading, name] of [
    ['observed', 'Observed', 'observed'], ['history', 'History', 'history'], ['log', 'Transparency log', 'log'],
    ['proposals', 'Proposals', 'proposals-none'], ['help', 'Help', 'help'],
  ]) {
    await page.goto(`${url}/console/${path}`);
    await page.getByRole('heading', { name: heading, exact: true }).waitFor();
    if (path === 'observed') {
      await tabTo(page, 'details > summary');
      await page.keyboard.press('Enter');
    }
    await browser.look(page, name);
  }
}

async function proposals() {
  page = await browser.somebody();
  await page.goto(`${url}/`);
  await atProvider(page, 'otto');
  await page.goto(`${url}/console/proposals`);
  await follow('a.card');
  await page.getByText('somebody else must confirm it').waitFor();
  await browser.look(page, 'proposal-own');
  page = await browser.somebody();
  await page.goto(`${url}/`);
  await atProvider(page, 'pia');
  await page.goto(`${url}/console/proposals`);
  await browser.look(page, 'proposals');
  await follow('a.card');
  await page.getByRole('heading', { name: 'Your word' }).waitFor();
  await browser.look(page, 'proposal');
  await write('.decide textarea', 'read and agreed');
  await follow('.decide button.approve');
  await page.getByRole('heading', { name: 'Recorded' }).waitFor();
}

/// Proposes from a gate that nobody is asked again; somebody else reads the rule and confirms it.
async function rule() {
  await as('alice');
  await follow('a.card');
  await follow('main a[href$="/rule"]');
  await page.getByRole('heading', { name: 'Do not ask about such a call again' }).waitFor();
  await browser.look(page, 'rule-form');
  await write('input[name=uses]', 'often');
  await write('.decide textarea', HOSTILE);
  await follow('.decide button.primary');
  await page.getByText('Nothing was changed.').waitFor();
  await tabTo(page, 'input[name=uses]');
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText('2');
  await follow('.decide button.primary');
  await page.getByText('somebody else must confirm it').waitFor();
  const proposal = page.url();
  await as('dave');
  await page.goto(proposal);
  await page.getByRole('heading', { name: 'What it changes in the policy' }).waitFor();
  await browser.look(page, 'rule');
  await follow('.decide button.approve');
  await page.getByRole('heading', { name: 'Recorded' }).waitFor();
}

/// Decides for somebody else, in a browser that runs no script.
async function acting() {
  await as('dave');
  await follow('.tabs a[href="/console/?all=true"]');
  await follow('a.card');
  await tabTo(page, '.emergency > summary');
  await page.keyboard.press('Enter');
  await browser.look(page, 'gate-acting');
  page = await browser.somebody({ javaScriptEnabled: false });
  await page.goto(`${url}/`);
  await page.getByRole('button', { name: 'Dave' }).click();
  await page.getByRole('link', { name: 'refund' }).first().click();
  await page.getByLabel('You act as').first().selectOption({ index: 0 });
  await page.getByLabel('Why needed').fill('she is away and it is owed');
  await page.getByRole('button', { name: 'Approve as asked' }).click();
  await page.getByText('You approved it as asked.').waitFor();
  await page.getByRole('link', { name: 'Delegations' }).click();
  await page.getByText('on holiday').waitFor();
  await page.getByRole('link', { name: 'Oversight' }).click();
  await page.getByRole('link', { name: 'Freezes' }).click();
  await page.getByLabel('What').selectOption('tenant');
  await page.getByLabel('Why needed').fill('looking into it');
  await page.getByRole('button', { name: 'Freeze it' }).click();
  await page.getByText('Freeze of everything of the tenant').waitFor();
}

try {
  if (story === 'proposals') await proposals();
  else if (story === 'rule') await rule();
  else if (story === 'acting') await acting();
  else {
    await as('dave');
    await freeze();
    await lend();
    await as('bob');
    await read();
  }
  say({ done: true });
} catch (error) {
  say({ failed: error.message, at: page?.url(), text: await page?.locator('main').innerText().catch(() => '') });
} finally {
  await browser.close();
}
