// Does a client leave a promise behind that nobody handles?
//
// In an application that ends the process. Dopt's clients do so when an error
// is not JSON, among others; here it fails the file, whatever else passed.

let unhandled = false;
process.on('unhandledRejection', (reason) => {
  console.error('unhandled rejection:', reason);
  unhandled = true;
});
// Last of all, because the runner sets a code of its own.
process.on('exit', () => {
  if (unhandled) process.exitCode = 1;
});
