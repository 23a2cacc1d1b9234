/** The second factor as a dialog, for those who have no officer's page. */
import { Dialog } from './parts/dialog';
import { SecondFactor } from './second-factor';
import { useOffice } from './words';
import '../style/officer.css';

export function SecondFactorDialog({ onClose }: { readonly onClose: () => void }) {
  const { t } = useOffice();
  return (
    <div class="office">
      <Dialog name="second-factor" title={t('section.account')} onClose={onClose}>
        <SecondFactor />
      </Dialog>
    </div>
  );
}
