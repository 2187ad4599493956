import '@testing-library/jest-dom/vitest';
import { configure } from '@testing-library/svelte';

// A machine that also compiles takes seconds for what is a moment's work.
configure({ asyncUtilTimeout: 10_000 });
