import { type Message } from '@pavlov/contracts';
import { randomStream } from '@pavlov/random';

/** What tokenizers disagree about, if they disagree. */
const nasty = [
  '',
  ' ',
  '   two  and   three spaces   ',
  'a line\nand\n\n\nmore\r\nlines\t\ttabs \n ',
  "It's THEIR'S, they'll've done'd it: I'm, we're 'tis O'Neill",
  'naïve café — déjà vu, Ångström, ﬁne print, ½ of ٣ and 三',
  'e\u0301 is two characters, é is one; Z͑ͫ̓a̡l͈g̠o',
  '你好，世界。こんにちは 안녕하세요 สวัสดี नमस्ते שלום مرحبا',
  '🙂🙃 👩‍👩‍👧‍👦 🏳️‍🌈 🇪🇺 👍🏽',
  'no\u00a0break \u2003em \u3000ideographic\u2028line\u2029paragraph\u0085next\u000b\u000cfeed',
  '\ufeffa mark of byte order \ufeff\ufeff at the start, and a joiner\u2060 and a zero\u200bwidth space',
  '\ufeff\ufeffmark #\ufeff# \ufeff\u0085\u0085line #\u0085# \u0085',
  '\u0000\u0001\u001b[0m\u007f\u0080\ufffd\ufffe\u{10ffff}\u{e000}',
  '1234567890 3.14159 1,000,000 0x1F 10²³ Ⅷ',
  'def f(x):\n    return {"a": [x ** 2, None]}  # $%&/()=?',
  '<|endoftext|>',
  'the end<|endoftext|>no end <|pad|><|pad|> <|endoftext |> <|ENDOFTEXT|>',
  'User: Hello\nAssistant: Bye<|endoftext|>',
  '{{ messages }} {% if true %} {# comment #} \\n \\u0041 "quoted" \'quoted\'',
  'word'.repeat(40),
  ' '.repeat(70),
];

/** Ranges of characters that random texts are made of; spaces and ASCII as often as all others. */
const ranges: readonly (readonly [number, number])[] = [
  [0x20, 0x7e],
  [0x20, 0x20],
  [0x09, 0x0d],
  [0x80, 0x24f],
  [0x300, 0x36f],
  [0x370, 0x5ff],
  [0x2000, 0x206f],
  [0x3040, 0x30ff],
  [0x4e00, 0x4eff],
  [0xfe00, 0xfeff],
  [0x1f300, 0x1f6ff],
];

function randomText(index: number): string {
  const { below } = randomStream(1, 'interop/texts', [index]);
  return Array.from({ length: 1 + below(40) }, () => {
    const [first, last] = ranges[below(2) === 0 ? below(2) : below(ranges.length)];
    return String.fromCodePoint(first + below(last - first + 1));
  }).join('');
}

/** Texts that both sides tokenise. */
export const texts: readonly string[] = [...nasty, ...Array.from({ length: 500 }, (_, index) => randomText(index))];

/** What tokenizers are trained on here, so that their merges reach the nasty places too. */
export const corpus: readonly string[] = nasty.filter((text) => text.trim() !== '' && !text.includes('<|'));

const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content });

/** Conversations that ask for an answer, and an answer to each. Without special tokens, which only we keep people from saying. */
export const conversations: readonly { readonly messages: readonly Message[]; readonly answer: string }[] = [
  { messages: [user('What comes after one?')], answer: 'two.' },
  { messages: [user('  spaces around \n')], answer: ' A space before. ' },
  { messages: [{ role: 'system', content: 'Be brief.' }, user('Hello!')], answer: 'Hi.' },
  { messages: [user('One?'), assistant('Two.'), user('And then?')], answer: 'Three,\nfour,\n\nfive.' },
  { messages: [user('{{ messages[0].content }} {% endfor %}')], answer: '{# nothing #}' },
  { messages: [user('🙂 你好 naïve\u00a0\u0085\u00a0and')], answer: '👩‍👩‍👧‍👦' },
];
