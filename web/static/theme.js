// Before the first paint, so that a light page never flashes dark.
try {
	document.documentElement.dataset.theme = localStorage.getItem('theme') ?? 'dark';
} catch {
	// Storage is switched off: the default stays.
}
