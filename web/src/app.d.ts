declare global {
	namespace App {
		interface PageData {
			/** The page uses the whole width of the window. */
			wide?: boolean;
		}
	}
}

export {};
