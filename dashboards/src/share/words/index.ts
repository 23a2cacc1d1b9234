/** The few words of the shared page, in both languages. */
import type { Message } from '../../words/en';
import { useOwnWords, type OwnWords } from '../../words/own';

export const en = {
  'share.label': 'About this link',
  'share.title': 'A shared view.',
  'share.rounded': {
    one: 'Numbers are rounded to 5, and groups of fewer than {k} person are not shown.',
    other: 'Numbers are rounded to 5, and groups of fewer than {k} people are not shown.',
  },
  'share.until': 'The link works until {day}.',
  'share.filters': 'Filters of this link',
  'share.forced': 'Always on:',
  'share.narrowed': 'Only a part of the visits',
  'share.gone': 'This link is no longer valid',
  'share.gone_text': 'It has expired, was removed, or was copied with a part missing. Ask whoever sent it for a new one.',
} as const satisfies Record<string, Message>;

export type ShareKey = keyof typeof en;

export const ru: Readonly<Record<ShareKey, Message>> = {
  'share.label': 'Об этой ссылке',
  'share.title': 'Просмотр по ссылке.',
  'share.rounded': {
    one: 'Числа округлены до 5, группы меньше {k} человека не показаны.',
    few: 'Числа округлены до 5, группы меньше {k} человек не показаны.',
    many: 'Числа округлены до 5, группы меньше {k} человек не показаны.',
    other: 'Числа округлены до 5, группы меньше {k} человек не показаны.',
  },
  'share.until': 'Ссылка действует до {day}.',
  'share.filters': 'Фильтры этой ссылки',
  'share.forced': 'Всегда включён:',
  'share.narrowed': 'Только часть визитов',
  'share.gone': 'Ссылка больше не действует',
  'share.gone_text': 'Срок её действия истёк, её удалили или скопировали не полностью. Попросите новую у того, кто её прислал.',
};

export const SHARE = { en, ru };

export const useShare = (): OwnWords<ShareKey> => useOwnWords<ShareKey>(SHARE);
