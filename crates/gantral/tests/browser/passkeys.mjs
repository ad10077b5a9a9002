// Somebody who adds a passkey and decides with it, in a real browser with an authenticator of its own.
//
// usage: node passkeys.mjs MODULES URL - [PICTURES]
// Prints one JSON line for each thing that is seen; the test compares. With PICTURES, a folder, it leaves screenshots there.

import { atProvider, say, start, tabTo } from './browser.mjs';

const [modules, url, , pictures] = process.argv.slice(2);
const browser = await start(modules, url, pictures);
const page = await browser.somebody();
const look = (name) => browser.look(page, name);

/// Gives the browser an authenticator that verifies its owner, and confirms whatever it is asked.
async function authenticator() {
  const session = await page.context().newCDPSession(page);
  await session.send('WebAuthn.enable');
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
}

async function add() {
  await tabTo(page, 'a[href="/console/passkeys"]');
  await page.keyboard.press('Enter');
  await page.getByText('You have no passkey.').waitFor();
  await look('passkeys-none');
  await tabTo(page, 'form[data-relying-party] button');
  await page.keyboard.press('Enter');
  await page.getByText('Waits to be enrolled').waitFor();
  await look('passkeys-asked');
  say({ at: 'asked' });
  while (await page.locator('.card-title', { hasText: /^Enrolled$/ }).count() === 0) {
    await page.waitForTimeout(200);
    await page.reload();
  }
  await look('passkeys');
}

/// Decides by keyboard alone, as `console.mjs` does without a passkey.
async function decide() {
  await page.keyboard.press('g');
  await page.getByText('Nothing waits').waitFor();
  say({ at: 'inbox' });
  // Nobody loads the page again.
  await page.locator('.card').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.getByText('Your passkey signs what you decide').first().waitFor();
  await look('gate-passkey');
  await tabTo(page, '.override > summary');
  await page.keyboard.press('Enter');
  await tabTo(page, '[name="parameter:amount"]');
  await page.keyboard.press('Control+a');
  await page.keyboard.type('480');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'What you change' }).waitFor();
  await tabTo(page, '#justification');
  await page.keyboard.type('one month is owed,\nnot ten');
  await tabTo(page, 'button.approve');
  await page.keyboard.press('Enter');
  await page.getByText('Your passkey signed it').waitFor();
  await look('decided-passkey');
  say({ done: true });
}

try {
  await authenticator();
  await page.goto(`${url}/`);
  await atProvider(page, 'ada');
  await add();
  await decide();
} catch (error) {
  say({ failed: error.message, at: page.url() });
} finally {
  await browser.close();
}
