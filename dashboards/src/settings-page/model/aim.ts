/** When a goal is reached, in words. */
import type { Aim } from '../../api/kept';
import type { FormWords } from '../words';
import type { SettingsKey } from '../words/en';

export function aimText({ t, language }: FormWords<SettingsKey>, aim: Aim): string {
  switch (aim.kind) {
    case 'event':
      return aim.currency === undefined
        ? t('aim.event', { value: aim.value })
        : t('aim.event_paid', { value: aim.value, currency: aim.currency });
    case 'page':
      return t('aim.page', { value: aim.value });
    case 'scroll': {
      const percent = new Intl.NumberFormat(language, { style: 'percent' }).format(aim.percent / 100);
      return t('aim.scroll', { value: aim.value, percent });
    }
    case 'ad_click':
      return aim.value === '' ? t('aim.ad_click_any') : t('aim.ad_click', { value: aim.value });
  }
}
