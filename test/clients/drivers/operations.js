// operations.js - what the clients in JavaScript share: one operation attempted and told, and those of operations.tsv.
'use strict';
const fs = require('fs');
const path = require('path');

// attempt prints the operation's name and its result, or its error, in one line.
const attempt = async (name, code) => {
  let result;
  try {
    result = await code();
  } catch (error) {
    result = `error ${error.code} ${error.constructor.name}`;
  }
  console.log(`${name}\t${typeof result === 'string' ? result.replaceAll('\n', '\\n') : JSON.stringify(result)}`);
};

// operations gives those of operations.tsv, whose first lines say how it is written.
const kinds = { t: (text) => text, i: Number, a: (text) => text.split(','), n: () => null };
const operations = () => fs.readFileSync(path.join(__dirname, 'operations.tsv'), 'utf8').trimEnd().split('\n')
  .filter((line) => !line.startsWith('#'))
  .map((line) => {
    const [name, sql, ...parameters] = line.split('\t');
    return { name, sql, values: parameters.map((p) => kinds[p[0]](p.slice(2))) };
  });

module.exports = { attempt, operations };
