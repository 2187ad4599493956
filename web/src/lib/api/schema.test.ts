// @vitest-environment node
import { readFile } from 'node:fs/promises';
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';
import { expect, test } from 'vitest';

const beside = (path: string) => readFile(new URL(path, import.meta.url), 'utf8');

test('the client knows the API that core/openapi.json describes', async () => {
	const described = await beside('../../../../core/openapi.json');
	const types = await openapiTS(described, { rootTypes: true, rootTypesNoSchemaPrefix: true });
	const fresh = COMMENT_HEADER + astToString(types);
	const isFresh = (await beside('schema.d.ts')) === fresh;
	expect(isFresh, 'src/lib/api/schema.d.ts is stale: run `make api`').toBe(true);
});
