// Before anything is painted: the theme that was chosen, so that nothing flashes.
'use strict';
try {
  const theme = localStorage.getItem('gaffer-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the system's theme it is.
}
