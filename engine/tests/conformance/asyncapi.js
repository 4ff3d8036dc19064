// Reads the AsyncAPI document at the first argument with the parser at the second, and tells what is wrong with it.
const { Parser } = require(process.argv[3]);

async function main() {
  const text = await (await fetch(process.argv[2])).text();
  const { document, diagnostics } = await new Parser().parse(text);
  for (const { severity, path, message } of diagnostics) console.log(severity, path.join('.'), message);
  const wrong = diagnostics.filter(({ severity }) => severity <= 1);
  if (!document || wrong.length > 0) process.exit(1);
  console.log(`${document.operations().length} operations`);
}

main();
