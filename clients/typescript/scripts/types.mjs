// Writes `src/types.ts`, the types of the API, from the OpenAPI document of the server.
//
//     node scripts/types.mjs [--check]
//
// With `--check` nothing is written, and the status is 1 if the file is not what would be written.

import { readFileSync, writeFileSync } from 'node:fs';

const DOCUMENT = new URL('../../../api/openapi.json', import.meta.url);
const TYPES = new URL('../src/types.ts', import.meta.url);
const WIDTH = 140;
/// What this package sends and reads; whatever these refer to comes with them.
const ROOTS = [
  'Ask',
  'AuthorityAnswer',
  'Consume',
  'ConsumeAnswer',
  'ReportOutcome',
  'Moved',
  'CreateInstance',
  'Created',
  'Attach',
  'Attached',
  'InstanceView',
  'Problem',
  'Empty',
];
const HEADER = `/**
 * The types of the API, written by \`scripts/types.mjs\` from \`api/openapi.json\`. Not edited by hand.
 *
 * Numbers that are exact decimals, and documents, are {@link Json}: what does not fit into a \`number\` is a \`bigint\` or a \`Decimal\`.
 */

import type { Decimal, Json, JsonObject } from "./json.js";
`;

/// What the JSON types are called; `null` beside another type becomes a union.
const PLAIN = { string: 'string', boolean: 'boolean', integer: 'number', null: 'null' };

function comment(text, indent) {
  if (!text) return '';
  const lines = text.replaceAll('*/', '*\\/').split('\n');
  if (lines.length === 1 && lines[0].length + indent.length < WIDTH - 8) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`;
}

const union = (parts) => [...new Set(parts)].join(' | ');

function type(schema, indent) {
  if (schema.$ref) return schema.$ref.split('/').at(-1);
  if (schema.enum) return union(schema.enum.map((value) => JSON.stringify(value)));
  if (schema.oneOf) return union(schema.oneOf.map((part) => type(part, indent)));
  if (schema.allOf) return schema.allOf.map((part) => type(part, indent)).join(' & ');
  if (Array.isArray(schema.type)) return union(schema.type.map((one) => type({ ...schema, type: one }, indent)));
  if (schema.type === 'array') return list(type(schema.items, indent));
  if (schema.type === 'number') return 'number | bigint | Decimal';
  if (schema.type === 'object') return object(schema, indent);
  if (schema.type in PLAIN) return PLAIN[schema.type];
  if (schema.type === undefined) return 'Json';
  throw new Error(`no type for ${JSON.stringify(schema)}`);
}

const list = (element) => (/^\w+$/.test(element) ? `${element}[]` : `Array<${element}>`);

function object({ properties, required = [], additionalProperties }, indent) {
  if (!properties) {
    // An object that says nothing of its members holds any, unless it is closed.
    if (additionalProperties === false) return 'Record<string, never>';
    return additionalProperties ? `Record<string, ${type(additionalProperties, indent)}>` : 'JsonObject';
  }
  const deeper = `${indent}  `;
  const members = Object.entries(properties).map(([name, schema]) => {
    const optional = required.includes(name) ? '' : '?';
    // What may be left out may also be given as `undefined`, which is not sent.
    const spelled = `${type(schema, deeper)}${optional ? ' | undefined' : ''}`;
    const about = schema.description ?? schema.oneOf?.find((part) => part.description)?.description;
    return `${comment(about, deeper)}${deeper}${name}${optional}: ${spelled};\n`;
  });
  return `{\n${members.join('')}${indent}}`;
}

function write() {
  const { schemas } = JSON.parse(readFileSync(DOCUMENT, 'utf8')).components;
  const names = new Set();
  const collect = (name) => {
    if (names.has(name)) return;
    names.add(name);
    for (const [, next] of JSON.stringify(schemas[name]).matchAll(/"#\/components\/schemas\/(\w+)"/g)) collect(next);
  };
  ROOTS.forEach(collect);
  const types = [...names]
    .sort()
    .map((name) => `\n${comment(schemas[name].description, '')}export type ${name} = ${type(schemas[name], '')};\n`);
  return HEADER + types.join('');
}

const written = write();
if (process.argv[2] === '--check') {
  if (readFileSync(TYPES, 'utf8') !== written) {
    console.error('error: `src/types.ts` is not what `api/openapi.json` says\nhint: node scripts/types.mjs');
    process.exitCode = 1;
  }
} else {
  writeFileSync(TYPES, written);
}
