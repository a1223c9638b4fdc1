// Reads one JSON Schema (draft-07) on standard input and writes its TypeScript types on standard output.
import { compile } from "json-schema-to-typescript";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const schema = JSON.parse(text);
const style = { printWidth: 120 };
process.stdout.write(await compile(schema, schema.title, { additionalProperties: false, bannerComment: "", style }));
