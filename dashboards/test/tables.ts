/** What every table of texts has to be. */
import assert from 'node:assert/strict';
import type { Message } from '../src/words/en';

/** The same keys and placeholders in both languages, all forms of plurals, nothing empty, nothing that another table has. */
export function checkTable(
  name: string,
  { en, ru }: { readonly en: Readonly<Record<string, Message>>; readonly ru: Readonly<Record<string, Message>> },
  common: Readonly<Record<string, Message>>,
): void {
  const texts = (message: Message) => (typeof message === 'string' ? [message] : Object.values(message));
  const placeholders = (message: Message) =>
    [...new Set(texts(message).flatMap((text) => text.match(/\{\w+\}/g) ?? []))].sort().join();
  assert.deepEqual(Object.keys(ru).sort(), Object.keys(en).sort(), name);
  for (const [key, message] of Object.entries(en)) {
    assert.equal(placeholders(ru[key]!), placeholders(message), `${name} ${key}`);
    assert.equal(Object.hasOwn(common, key), false, `${name} ${key}`);
    for (const text of [...texts(message), ...texts(ru[key]!)]) assert.notEqual(text.trim(), '', `${name} ${key}`);
  }
  for (const [language, messages] of Object.entries({ en, ru })) {
    const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories.slice().sort();
    for (const [key, message] of Object.entries(messages)) {
      if (typeof message !== 'string') assert.deepEqual(Object.keys(message).sort(), forms, `${name} ${language} ${key}`);
    }
  }
}
