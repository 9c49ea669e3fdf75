// The report in a real browser: IPCLAB_EXAMPLES=example_report node --test report_test.mjs
//
// Pages are files; nothing here needs a network. What is installed where: browser_test.sh.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {pathToFileURL} from 'node:url';

import {chromium} from 'playwright-core';

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const mermaid = path.join(path.dirname(require.resolve('@mermaid-js/tiny/package.json')),
                          'dist/mermaid.tiny.js');
const examples = process.env.IPCLAB_EXAMPLES;
const kFailed = 'Reader.SeesEndOfFile';
const kPages = ['mixed-en', 'mixed-zh', 'broken-en', 'refused-en', 'hostile-en'];

let browser;
let folder;

function example(format, run, language = 'en') {
  return execFileSync(examples, [format, run, language], {encoding: 'utf8', maxBuffer: 1 << 26});
}

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'report-'));
  for (const page of kPages) {
    writeFileSync(path.join(folder, `${page}.html`), example('html', ...page.split('-')));
  }
  browser = await chromium.launch({
    executablePath: process.env.IPCLAB_BROWSER,
    // Chromium's own sandbox cannot be had inside Bazel's, nor as root.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
           '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
});

after(async () => {
  await browser?.close();
  if (folder) rmSync(folder, {recursive: true});
});

// A page and all that went wrong in it: words on the console, errors, requests for anything else.
async function open(name, {fragment = '', ...options} = {}) {
  const context = await browser.newContext({viewport: {width: 1000, height: 800}, ...options});
  const page = await context.newPage();
  const troubles = [];
  const address = pathToFileURL(path.join(folder, `${name}.html`)).href;
  page.on('console', message => troubles.push(`console: ${message.text()}`));
  page.on('pageerror', error => troubles.push(`error: ${error}`));
  page.on('dialog', dialog => troubles.push(`dialog: ${dialog.message()}`));
  page.on('request', request => {
    if (request.url().split('#')[0] !== address) troubles.push(`request: ${request.url()}`);
  });
  await page.goto(address + fragment);
  return {page, troubles, close: () => context.close()};
}

for (const name of kPages) {
  describe(`the page ${name}`, () => {
    it('opens without errors, requests or scripts', async () => {
      const {page, troubles, close} = await open(name);
      assert.deepEqual(troubles, []);
      assert.equal(await page.evaluate('typeof window.hostile'), 'undefined');
      assert.equal(await page.evaluate('document.scripts.length'), 0);
      assert.equal(await page.evaluate('document.documentElement.lang'),
                   name.endsWith('zh') ? 'zh-CN' : 'en');
      await close();
    });

    for (const colorScheme of ['light', 'dark']) {
      it(`has no serious fault of accessibility in ${colorScheme}`, async () => {
        const {page, close} = await open(name, {colorScheme});
        await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)");
        await page.evaluate(axe);
        const faults = await page.evaluate(async () => {
          const {violations} = await window.axe.run(document);
          return violations.filter(v => ['serious', 'critical'].includes(v.impact))
              .map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => n.html).join(' ')}`);
        });
        assert.deepEqual(faults, []);
        await close();
      });
    }

    it('is not wider than a phone', async () => {
      const {page, close} = await open(name, {viewport: {width: 360, height: 740}});
      await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)");
      assert.ok(await page.evaluate('document.documentElement.scrollWidth') <= 360);
      await close();
    });

    it('has pictures that hold all their words', async () => {
      const {page, close} = await open(name);
      const sticking = await page.evaluate(() => {
        const out = [];
        for (const svg of document.querySelectorAll('svg.picture')) {
          const {width, height} = svg.viewBox.baseVal;
          for (const text of svg.querySelectorAll('text')) {
            const box = text.getBBox();
            if (box.x < 0 || box.x + box.width > width || box.y + box.height > height) {
              out.push(`${text.textContent}: ${box.x + box.width} of ${width}`);
            }
          }
        }
        return out;
      });
      assert.deepEqual(sticking, []);
      await close();
    });
  });
}

describe('a failed check', () => {
  it('is found by its id', async () => {
    const {page, close} = await open('mixed-en', {fragment: `#${kFailed}`});
    const {top, bottom} = await page.evaluate(
        id => document.getElementById(id).getBoundingClientRect().toJSON(), kFailed);
    assert.ok(top >= 0 && top < 100 || bottom <= 800, `it stands at ${top}`);
    await close();
  });

  it('has both pictures, with a name and a description', async () => {
    const {page, close} = await open('mixed-en');
    for (const kind of ['waits', 'events']) {
      const picture = page.locator(`[id="${kFailed}"] svg.${kind}`);
      assert.equal(await picture.count(), 1);
      const {width, height} = await picture.boundingBox();
      assert.ok(width > 200 && height > 80, `${width} x ${height}`);
      assert.match(await picture.locator('> desc').textContent(), /Reader\.SeesEndOfFile/);
    }
    const words = await page.locator(`[id="${kFailed}"] svg.events`).textContent();
    assert.match(words, /read\(3 <pipe A>, 4096\) \.\.\./);
    assert.match(words, /never returns/);
    await close();
  });

  it('can be scrolled by keyboard where its picture is wider than a phone', async () => {
    const {page, close} = await open('mixed-en', {viewport: {width: 360, height: 740}});
    const scroller = page.locator(`[id="${kFailed}"] .scroll`).last();
    await scroller.focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(s => s.scrollLeft > 0, await scroller.elementHandle());
    await close();
  });

  it('is printed in black on white, with all that matters', async () => {
    const {page, close} = await open('mixed-en', {colorScheme: 'dark'});
    await page.emulateMedia({media: 'print'});
    assert.deepEqual(await page.evaluate(() => {
      const {backgroundColor, color} = getComputedStyle(document.body);
      return [backgroundColor, color];
    }), ['rgb(255, 255, 255)', 'rgb(0, 0, 0)']);
    const check = page.locator(`[id="${kFailed}"]`);
    for (const part of ['.quote >> nth=0', 'svg.waits', 'svg.events', '.hint']) {
      assert.ok(await check.locator(part).isVisible(), part);
    }
    await close();
  });
});

it('the address of a passed check opens the list it stands in', async () => {
  const {page, close} = await open('mixed-en', {fragment: '#Sender.Sends'});
  await page.waitForFunction("document.getElementById('Sender.Sends').closest('details').open");
  await close();
});

it('the policy of the page stops what escaping should have stopped', async () => {
  const page = readFileSync(path.join(folder, 'mixed-en.html'), 'utf8');
  const hurt = page.replace('<main>', '<main><script>window.hostile=1</script>' +
      '<img src="https://example.invalid/x.png" onerror="window.hostile=1">' +
      '<style>body{display:none}</style>');
  assert.notEqual(hurt, page);
  writeFileSync(path.join(folder, 'hurt.html'), hurt);
  const opened = await open('hurt');
  assert.equal(await opened.page.evaluate('typeof window.hostile'), 'undefined');
  assert.ok(await opened.page.locator('h1').isVisible());
  // Stopped, and heard of: the other tests would have noticed.
  assert.ok(opened.troubles.length >= 3, opened.troubles.join('\n'));
  await opened.close();
});

for (const run of ['mixed', 'breakout']) {
  it(`Mermaid draws the diagrams of the run ${run}, and nothing else`, async () => {
    const diagrams = JSON.parse(example('diagrams', run));
    assert.ok(diagrams.length > 2);
    const context = await browser.newContext();
    const page = await context.newPage();
    const troubles = [];
    page.on('pageerror', error => troubles.push(String(error)));
    page.on('request', request => troubles.push(request.url()));
    await page.addScriptTag({path: mermaid});
    const drawn = await page.evaluate(async texts => {
      window.mermaid.initialize({startOnLoad: false, securityLevel: 'strict'});
      const results = [];
      for (const [i, text] of texts.entries()) {
        await window.mermaid.parse(text);
        const {svg} = await window.mermaid.render(`d${i}`, text);
        const holder = document.createElement('div');
        holder.innerHTML = svg;
        const count = what => holder.querySelectorAll(what).length;
        results.push({
          nodes: count('text.actor-box') / 2 + count('g.node'),
          foreign: count('script, img, a, iframe, form, math'),
        });
      }
      return results;
    }, diagrams);
    assert.deepEqual(troubles, []);
    assert.equal(await page.evaluate('typeof window.hostile'), 'undefined');
    for (const [i, {nodes, foreign}] of drawn.entries()) {
      const ours = diagrams[i].match(/^ {2}(participant |p\d+\[)/gm).length;
      assert.equal(nodes, ours, diagrams[i]);
      assert.equal(foreign, 0, diagrams[i]);
    }
    await context.close();
  });
}
